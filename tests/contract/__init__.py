"""One suite over every implementation of the same promise."""
