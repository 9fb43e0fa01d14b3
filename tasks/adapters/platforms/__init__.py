"""What an environment runs on, one package per platform; each implements `tasks.core.platform.Platform`."""
