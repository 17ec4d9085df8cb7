"""Carriers of Matroska: what ffmpeg writes by its options, and elements put in byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests import clips

_SEGMENT = b"\x18\x53\x80\x67\x01"
_EXACT = ("-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact")


@dataclass(frozen=True, kw_only=True)
class Made:
    """`args` are ffmpeg's, with `{word}` in them; `kind` is what is told of it."""

    name: str
    kind: str
    args: tuple[str, ...]
    words: bool = True

    @property
    def word(self) -> str:
        return f"CANARY_{self.name.upper()}" if self.words else ""

    def said(self) -> list[str]:
        return [part.format(word=self.word) for part in self.args]


OPTIONS: tuple[Made, ...] = (
    Made(name="mkv-title", kind="caption", args=("-metadata", "title={word}")),
    Made(name="mkv-date", kind="timestamps", args=("-metadata", "creation_time=2024-05-06T05:08:09Z"), words=False),
    Made(name="mkv-uid", kind="serial_number", args=("-fflags", "-bitexact"), words=False),
    Made(name="mkv-trackname", kind="caption", args=("-metadata:s:v", "title={word}")),
    Made(name="mkv-lang", kind="language", args=("-metadata:s:a", "language=fra"), words=False),
    Made(name="mkv-tag", kind="location", args=("-metadata", "LOCATION={word}")),
    Made(name="mkv-tag-make", kind="camera", args=("-metadata", "MAKE={word}")),
    Made(name="mkv-tag-artist", kind="owner_name", args=("-metadata:s:v", "ARTIST={word}")),
    Made(name="mkv-tag-other", kind="unknown_block", args=("-metadata", "CNRY={word}")),
)


def remuxed(film: Path, *args: str | Path, beside: tuple[str | Path, ...] = ()) -> bytes:
    """The film in a Matroska; `beside` are further inputs."""
    target = film.with_suffix(".mkv")
    clips.ffmpeg("-i", film, *beside, "-map", "0:v", "-map", "0:a?", "-c", "copy", *_EXACT, *args, target)
    return target.read_bytes()


def attached(film: Path, word: str) -> bytes:
    note = film.with_name("note.txt")
    note.write_text(word)
    return remuxed(film, "-attach", note, "-metadata:s:t", "mimetype=text/plain")


def chaptered(film: Path, word: str) -> bytes:
    chapters = film.with_name("chapters.txt")
    chapters.write_text(f";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle={word}\n")
    return remuxed(film, "-map_chapters", "1", beside=("-f", "ffmetadata", "-i", chapters))


def all_in(film: Path) -> bytes:
    """Everything of this file in one; `planted` are its words."""
    note, chapters = film.with_name("note.txt"), film.with_name("chapters.txt")
    note.write_text("CANARY_MKV-ATTACHMENT")
    chapters.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=CANARY_MKV-CHAPTER\n")
    options = [part for made in OPTIONS for part in made.said()]
    more = ("-map_chapters", "1", "-attach", note, "-metadata:s:t", "mimetype=text/plain", *options)
    body = remuxed(film, *more, beside=("-f", "ffmetadata", "-i", chapters))
    for name, (_kind, make) in ELEMENTS.items():
        body = in_segment(body, make(word_of(name)))
    return body + b"CANARY_MKV-TAIL"


def planted() -> list[bytes]:
    words = [made.word.encode() for made in OPTIONS if made.words] + [word_of(name)[:16] for name in ELEMENTS]
    return [*words, b"CANARY_MKV-ATTACHMENT", b"CANARY_MKV-CHAPTER", b"CANARY_MKV-TAIL"]


def element(number: str, body: bytes) -> bytes:
    """Its id in hexadecimal, a size of eight bytes, the payload."""
    return bytes.fromhex(number) + struct.pack(">Q", 1 << 56 | len(body)) + body


def in_segment(film: bytes, new: bytes) -> bytes:
    """At the segment's end."""
    at = film.index(_SEGMENT) + 4
    size = struct.unpack_from(">Q", film, at)[0] & (1 << 56) - 1
    end = at + 8 + size
    return film[:at] + struct.pack(">Q", 1 << 56 | size + len(new)) + film[at + 8 : end] + new + film[end:]


def _chapter(word: bytes) -> bytes:
    named = element("80", element("85", word) + element("437C", b"eng"))
    return element("1043A770", element("45B9", element("B6", element("91", b"\0") + named)))


def _cover(word: bytes) -> bytes:
    jpeg = b"\xff\xd8\xff\xfe" + struct.pack(">H", len(word) + 2) + word + b"\xff\xd9"
    file = (
        element("466E", b"cover.jpg") + element("4660", b"image/jpeg") + element("465C", jpeg) + element("46AE", b"\7")
    )
    return element("1941A469", element("61A7", file))


# Name -> kind, and what is put at the end of the segment.
ELEMENTS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "mkv-void": ("hidden_data", lambda word: element("EC", word)),
    "mkv-void-late": ("hidden_data", lambda word: element("EC", bytes(40_000) + word)),
    "mkv-unknown": ("unknown_block", lambda word: element("4CAA", word)),
    "mkv-chapter-late": ("chapters", _chapter),
    "mkv-cover": ("thumbnail", _cover),
    "mkv-segment-uid": ("serial_number", lambda word: element("1549A966", element("73A4", word[:16]))),
    "mkv-path": ("edit_history", lambda word: element("1549A966", element("7384", word))),
}


def word_of(name: str) -> bytes:
    return b"CANARY_" + name.upper().encode()
