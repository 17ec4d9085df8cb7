"""Figures, beside a plain alternative."""
