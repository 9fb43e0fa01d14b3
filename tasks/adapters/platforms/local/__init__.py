"""The local platform: releases as processes of this machine behind Traefik.

`platform.py` is what a flow, the guard or the command line calls; it writes what is wanted. `supervisor.py` is the
daemon that makes it so. They share files (`folder.py`) and nothing else, so either may die at any moment.
"""
