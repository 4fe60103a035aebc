# Freezes the client. In a manifest of one's own: include("/path/to/the/checkout/ports/manifest.py")
# Most of it is in the C module already: this is the rest, see freeze.
import subprocess

subprocess.run(["./freeze", "../build/firmware/python"], check=True)
package("mqtt_as", base_path="../build/firmware/python")
module("_mqtt_as.py")
