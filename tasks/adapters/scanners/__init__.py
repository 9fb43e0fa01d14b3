"""The scanners Towpath drives: one file each, with its command line and the reading of what it leaves."""
