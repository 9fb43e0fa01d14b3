"""How a run starts and where it lives: the command line, the local server and worker."""
