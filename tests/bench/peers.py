"""The clients to compare with: MicroPython's from PyPI into build/peers, and one in C that is compiled here."""

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from pypi_simple import PYPI_SIMPLE_ENDPOINT, PyPISimple

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "build" / "peers"

# pip takes neither source distributions this old nor dependencies that are for PCs: files and their hashes.
PEERS = {
    "umqtt_simple": {
        "micropython-umqtt.simple-1.3.4.tar.gz": "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f",
    },
    "umqtt_simple2": {
        "micropython-umqtt.simple2-2.2.0.tar.gz": "48fd4da7701b95986293b06d343fbc564ebe7dfa82f5c8c09364c20df755f0e4",
    },
    "umqtt_robust2": {
        "micropython-umqtt.simple2-2.2.0.tar.gz": "48fd4da7701b95986293b06d343fbc564ebe7dfa82f5c8c09364c20df755f0e4",
        "micropython-umqtt.robust2-2.2.0.tar.gz": "da3a09a570868d8e4ae6d2fad475230f6f2b130b45711be6873f83b10ebd4a6c",
    },
    "mqtt_async": {
        "micropython-mqtt-async-0.7b4.tar.gz": "c10a8a34064adad629f71f7ea559f7070169ce13c180265509f68f58618eec2b",
    },
    "chumicro": {
        "chumicro_mqtt-0.30.3-py3-none-any.whl": "9752586bb10e29389e5f5c443594ce0b5f2f1343ba9aefb3fc9909e33d234482",
        "chumicro_config-0.7.7-py3-none-any.whl": "869ee0d7947b4a0f584c6e02dcff82b891b0c96a00cc112aa82e344029b9a3f1",
        "chumicro_sockets-0.21.3-py3-none-any.whl": "ade59b6045db5bdb03b7992748a8b1111efdda482c165d09bd6e7eb25b34f3b6",
        "chumicro_timing-0.8.4-py3-none-any.whl": "f637c0331a30659a77d98828cf3fb9608402204059934e73c916b0f82b33703c",
    },
    "aiomqttc": {
        "aiomqttc-1.0.7-py3-none-any.whl": "edced4a29120d00e116732eb8e1e22ac3804ff18c14981d14816f9987b2f33ea",
    },
}


def index():
    """The index pip is configured for."""
    for key in ("install.index-url", "global.index-url"):
        answer = subprocess.run([sys.executable, "-m", "pip", "config", "get", key], capture_output=True, text=True)
        if answer.returncode == 0:
            return answer.stdout.strip()
    return PYPI_SIMPLE_ENDPOINT


def download(file, sha256):
    """The bytes of a file of the package index."""
    path = FOLDER / file
    if not path.exists():
        with PyPISimple(index()) as client:
            project = file[: file.index("-py3") if file.endswith(".whl") else -len(".tar.gz")].rpartition("-")[0]
            package = next((p for p in client.get_project_page(project).packages if p.filename == file), None)
            if package is None:
                raise RuntimeError(f"the package index has no {file}")
            client.download_package(package, path)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise RuntimeError(f"{path} is not the file that was expected: its SHA-256 is another")
    return data


def modules(file, data):
    """Path and text of each Python file in an archive."""
    if file.endswith(".whl"):
        with zipfile.ZipFile(io.BytesIO(data)) as wheel:
            for name in wheel.namelist():
                if name.endswith(".py"):
                    yield name, wheel.read(name)
    else:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar.getmembers():
                if member.name.endswith(".py"):
                    yield member.name.partition("/")[2], tar.extractfile(member).read()


def fetch(name):
    """The folder to put on the path for a peer."""
    folder = FOLDER / name
    if folder.exists():
        return folder
    FOLDER.mkdir(parents=True, exist_ok=True)
    unpacked = FOLDER / f"{name}.new"
    shutil.rmtree(unpacked, ignore_errors=True)
    for file, sha256 in PEERS[name].items():
        for path, text in modules(file, download(file, sha256)):
            (unpacked / path).parent.mkdir(parents=True, exist_ok=True)
            (unpacked / path).write_bytes(text)
    unpacked.rename(folder)
    return folder


def compile_c():
    """The program over libmosquitto, which takes the arguments of device/measure.py."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    program = FOLDER / "libmosquitto"
    subprocess.run(["cc", "-O2", "-Wall", "-o", program, HERE / "libmosquitto.c", "-lmosquitto"], check=True)
    return program
