"""Whole stories, in one process."""
