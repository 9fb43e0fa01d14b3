"""What Towpath knows of each tool it runs: its arguments, what its exit codes mean, and how to read what it prints."""
