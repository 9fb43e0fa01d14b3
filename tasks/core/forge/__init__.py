"""What a forge is told of a run: pure values and decisions, which know no forge's address or protocol."""
