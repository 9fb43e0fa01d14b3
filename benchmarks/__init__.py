"""What Towpath costs, side by side with what its users would use instead, in one run on one machine."""
