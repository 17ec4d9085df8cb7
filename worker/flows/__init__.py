"""Where the rooms meet: one file, one story, read from top to bottom. A flow's fields are its needs."""
