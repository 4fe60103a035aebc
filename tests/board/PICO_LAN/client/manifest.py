include("../manifest.py")
include("../../../../ports/manifest.py")
