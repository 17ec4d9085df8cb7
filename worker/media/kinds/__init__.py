"""What a carrier stands for: one file a syntax, each telling kinds and never a value.

Pure functions over bytes, linear in their length, that raise nothing for a broken block: what could be read is told.
"""
