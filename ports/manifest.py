# Freezes the client. In a manifest of one's own: include("/path/to/the/checkout/ports/manifest.py")
# Most of it is in the C module already: this is the rest, see freeze.
import subprocess

written = subprocess.run(["./freeze", "../build/firmware/python"], check=True, stdout=subprocess.PIPE, text=True)
for name in written.stdout.split():
    package(name, base_path="../build/firmware/python")
    if name == "mqtt_as":
        module("mqtt_as_eth.py", base_path="../python")
module("_mqtt_as.py")
