"""Words that must not be found, in every dress a leak can wear: plain, base64, hex, URL-encoded, UTF-16, JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus


def dresses(word: str) -> set[bytes]:
    """Every encoding of the word that is looked for; those without letters' case are in lower case too."""
    body = word.encode()
    plain = {
        body,
        word.encode("utf-16-le"),
        word.encode("utf-16-be"),
        body.hex().encode(),
        quote(word, safe="").encode(),
        quote_plus(word).encode(),
        json.dumps(word)[1:-1].encode(),
    }
    return {each.lower() for each in plain} | set(_base64(body))


def _base64(body: bytes) -> Iterator[bytes]:
    """At each of the three alignments, without the characters that the neighbours share; both alphabets."""
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + body)[-(-shift * 4 // 3) : (shift + len(body)) * 4 // 3]
        yield encoded
        yield encoded.translate(bytes.maketrans(b"+/", b"-_"))


def found(words: Iterable[str], body: bytes) -> list[str]:
    """The words that are in there, in any dress."""
    lower = body.lower()
    return [word for word in words if any(dress in body or dress in lower for dress in dresses(word))]


def found_below(words: Iterable[str], root: Path, *, but: Iterable[str] = ()) -> dict[str, list[str]]:
    """The words in the files below, their names and paths included; `but` names folders of the root to leave out."""
    listed = list(words)
    leaks: dict[str, list[str]] = {}
    for path in root.rglob("*"):
        name = path.relative_to(root)
        if name.parts[0] not in set(but):
            seen = found(listed, bytes(name)) + (found(listed, path.read_bytes()) if path.is_file() else [])
            if seen:
                leaks[str(name)] = seen
    return leaks
