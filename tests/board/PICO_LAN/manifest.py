# The port's own files, and what the other runtimes of the tests have.
freeze("$(PORT_DIR)/modules")
include("../../runtime/manifest.py")
