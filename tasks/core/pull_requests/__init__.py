"""What is asked of a pull request, decided from what git, the tools and the base's configuration say."""
