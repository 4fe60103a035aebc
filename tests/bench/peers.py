"""The clients to compare with, fetched from PyPI into build/peers."""

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from pypi_simple import PYPI_SIMPLE_ENDPOINT, PyPISimple

FOLDER = Path(__file__).resolve().parents[2] / "build" / "peers"

# Source distributions too old for pip: their file, its hash, and what of it goes on the path.
PEERS = {
    "umqtt": (
        "micropython-umqtt.simple",
        "micropython-umqtt.simple-1.3.4.tar.gz",
        "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f",
        "umqtt/simple.py",
    ),
    "mqtt_async": (
        "micropython-mqtt-async",
        "micropython-mqtt-async-0.7b4.tar.gz",
        "c10a8a34064adad629f71f7ea559f7070169ce13c180265509f68f58618eec2b",
        "mqtt_async.py",
    ),
}


def index():
    """The index pip is configured for."""
    for key in ("install.index-url", "global.index-url"):
        answer = subprocess.run([sys.executable, "-m", "pip", "config", "get", key], capture_output=True, text=True)
        if answer.returncode == 0:
            return answer.stdout.strip()
    return PYPI_SIMPLE_ENDPOINT


def fetch(name):
    """The folder to put on the path for a peer."""
    project, file, sha256, wanted = PEERS[name]
    folder = FOLDER / name
    if folder.exists():
        return folder
    FOLDER.mkdir(parents=True, exist_ok=True)
    archive = FOLDER / file
    with PyPISimple(index()) as client:
        package = next((p for p in client.get_project_page(project).packages if p.filename == file), None)
        if package is None:
            raise RuntimeError(f"the package index has no {file}")
        client.download_package(package, archive)
    data = archive.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise RuntimeError(f"{archive} is not the file that was expected: its SHA-256 is another")
    unpacked = FOLDER / f"{name}.new"
    shutil.rmtree(unpacked, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        member = next(m for m in tar.getmembers() if m.name.endswith("/" + wanted))
        (unpacked / wanted).parent.mkdir(parents=True)
        (unpacked / wanted).write_bytes(tar.extractfile(member).read())
    unpacked.rename(folder)
    return folder
