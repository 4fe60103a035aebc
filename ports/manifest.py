# Freezes the client. In a manifest of one's own: include("/path/to/the/checkout/ports/manifest.py")
package("mqtt_as", base_path="../python")
