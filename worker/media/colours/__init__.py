"""What colours mean: what a file says of them, spaces as numbers, profiles of our own, and the conversion."""
