"""Decisions that may change only on purpose."""
