"""The HTTP edge: parses, calls one flow, answers. It decides nothing."""
