# What is frozen into the runtimes of the tests: the same for all, so that what is measured on them compares.
include("$(MPY_DIR)/extmod/asyncio")
module("ssl.py", base_path=".")
