"""A Kubernetes environment, decided without asking one: manifests, the candidate beside them, its traffic."""
