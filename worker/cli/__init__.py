"""The command line: parses, calls one flow, prints. It decides nothing and never shows a traceback."""
