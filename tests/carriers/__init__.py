"""Planted carriers: one place of one format each, with a word of its own, for inputs and finished files alike."""
