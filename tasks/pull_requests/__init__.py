"""The pull request stage's tasks: read what it changes, look at it from every side, report."""
