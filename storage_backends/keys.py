"""Validated keys: `<retention class>/<app>/<upload id>/<artifact id>`, and nothing else.

Refuses every other shape and letter, so no key can climb, be absolute, hide, or carry a word of a user. The class comes
first, so that a bucket rule can later work by prefix.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from storage_backends.errors import BadKey

SEGMENT = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
DEPTH = 4


@dataclass(frozen=True, kw_only=True)
class Key:
    """The name of one object; `str(key)` is its canonical form, at most 259 letters. Raises `BadKey`."""

    retention_class: str
    app: str
    upload_id: str
    artifact_id: str

    def __post_init__(self) -> None:
        if not all(_is_segment(part) for part in self.parts):
            raise BadKey("a key has four parts of a-z, 0-9, '_' and '-', each at most 64 letters long")

    @classmethod
    def parse(cls, text: str) -> Key:
        """The inverse of `str(key)`. Raises `BadKey`."""
        return cls.of(_split(text))

    @classmethod
    def of(cls, parts: tuple[str, ...]) -> Key:
        """A key of its four parts, in order. Raises `BadKey`."""
        if len(parts) != DEPTH:
            raise BadKey("a key has exactly four parts: retention class, app, upload id, artifact id")
        retention_class, app, upload_id, artifact_id = parts
        return cls(retention_class=retention_class, app=app, upload_id=upload_id, artifact_id=artifact_id)

    @property
    def parts(self) -> tuple[str, str, str, str]:
        return (self.retention_class, self.app, self.upload_id, self.artifact_id)

    def __str__(self) -> str:
        return "/".join(self.parts)


def prefix_parts(prefix: str) -> tuple[str, ...]:
    """The whole parts of a listing's prefix: none for `""`, at most four. A half part, as in `a/` or `a//b`, is
    `BadKey`: a prefix that means less than it says must not erase or list more than was meant."""
    if prefix == "":
        return ()
    parts = _split(prefix)
    if len(parts) > DEPTH or not all(_is_segment(part) for part in parts):
        raise BadKey("a prefix is one to four whole parts of a key, without a slash at its end")
    return parts


def _split(text: object) -> tuple[str, ...]:
    if not isinstance(text, str):
        raise BadKey("a key is text")
    return tuple(text.split("/", DEPTH))


def _is_segment(part: object) -> bool:
    return isinstance(part, str) and SEGMENT.fullmatch(part) is not None
