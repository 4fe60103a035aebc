# What is frozen into the firmwares of the tests.
include("../manifest.py")
include("../../../ports/manifest.py")
