"""The tasks of the delivery flows: build, gate, migrate, roll, verify, watch, ask, record."""
