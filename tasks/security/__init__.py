"""The security stage's tasks: plan the scans, run them, compare with the base, judge, publish."""
