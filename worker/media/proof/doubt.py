"""Why a file is not proven: a fixed line of our own, for tests and for the eye of a debugger; it leaves no jail."""

from __future__ import annotations


class Doubt(Exception):
    """Something is there that may not be there, or could not be judged."""


def need(fact: bool, else_why: str) -> None:
    """Raises `Doubt` unless `fact` holds."""
    if not fact:
        raise Doubt(else_why)
