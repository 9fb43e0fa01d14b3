"""Stages as Prefect flows, each file one story read from top to bottom."""
