"""One module per command of `towpath`: its own imports, so that `--help` and a usage error cost nothing."""
