"""Decisions only: no clock, no files, no network, no Prefect; what these modules need to know comes in as arguments."""
