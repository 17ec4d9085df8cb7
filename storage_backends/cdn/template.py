"""Addresses made from a template of the operator's: the parts of a key go into path and query, never into the host.

So whom Mayfly asks is decided by the settings alone; nothing out of an upload, an app or a message can name a host.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from string import Formatter
from urllib.parse import quote, urlsplit

from storage_backends.keys import Key

# What an address can say of a copy. A copy's name is not among them: an address must mean one copy for ever, and an
# upload that is processed anew has copies of the same names again.
_OF_KEY = frozenset({"key", "app", "upload_id", "artifact_id"})
# A purge may be asked for by the whole address of what is shown.
WHOLE = frozenset({"url"})
_TELLS_APART = frozenset({"key", "artifact_id"}) | WHOLE


@dataclass(frozen=True, kw_only=True)
class Template:
    """`text` may hold a secret of the operator's, so it is not shown."""

    text: str = field(repr=False)

    @classmethod
    def parse(cls, text: str, *, more: frozenset[str] = frozenset()) -> Template:
        """`more`: fields allowed beside those of a key. Raises `ValueError`, without the text in it."""
        try:
            fields = [(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(text)]
            parts = urlsplit(text)
            _ = parts.port  # raises for what is no number
        except ValueError:
            raise ValueError("it is not an address") from None
        named = {name for name, _, _ in fields if name is not None}
        if any(spec or conversion for _, spec, conversion in fields) or named - _OF_KEY - more:
            raise ValueError(
                f"it may hold {', '.join('{' + name + '}' for name in sorted(_OF_KEY | more))}, nothing else"
            )
        if not named & _TELLS_APART:
            raise ValueError("it must hold {key} or {artifact_id}, or two copies have one address")
        if parts.scheme not in ("http", "https") or not parts.hostname or "{" in parts.netloc:
            raise ValueError("it begins with https://host/ (or http://), and the host is fixed")
        if "@" in parts.netloc or parts.fragment or not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("it is plain ASCII without spaces, user name, password and fragment")
        return cls(text=text)

    def url(self, key: Key, **more: str) -> str:
        """The address of that copy; what `more` gives is percent-encoded, for it stands in a query as a rule."""
        own = {"key": str(key), "app": key.app, "upload_id": key.upload_id, "artifact_id": key.artifact_id}
        return self.text.format(**own, **{name: quote(value, safe="") for name, value in more.items()})

    def digest(self) -> str:
        """8 hexadecimal digits that another template does not have."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:8]
