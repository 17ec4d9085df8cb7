"""Every place of JPEG, PNG, GIF and WebP where a word can hide, planted into a given file of that format.

Each function takes a good file and the word and returns name -> file. Plants that only some files have room for (a
palette, an animation, scans) take such a file as their own argument.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from tests import pieces, samples

_ICC, _XMP, _MORE = b"ICC_PROFILE\0\1\1", b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
# What stands before the word in each vendor's segment.
_VENDORS: dict[str, tuple[int, bytes]] = {
    "jpg-mpf": (0xE2, b"MPF\0"),
    "jpg-fpxr": (0xE2, b"FPXR\0"),
    "jpg-gainmap-urn": (0xE2, b"urn:iso:std:iso:ts:21496:-1\0"),
    "jpg-app3": (0xE3, b"Meta\0\0"),
    "jpg-app4": (0xE4, b"SCALADO\0"),
    "jpg-app5": (0xE5, b"RMETA\0"),
    "jpg-app6": (0xE6, b"GoPro\0DEVC"),
    "jpg-app7": (0xE7, b"\x1aQualcomm Camera Attributes"),
    "jpg-app8": (0xE8, b"SPIFF\0"),
    "jpg-app9": (0xE9, b"Media Jukebox\0"),
    "jpg-app10": (0xEA, b"UNICODE\0"),
    "jpg-app11": (0xEB, b"JP\0\1\0\0\0\1jumb"),
    "jpg-app12": (0xEC, b"[picture info]"),
    "jpg-app12-ducky": (0xEC, b"Ducky"),
    "jpg-app15": (0xEF, b"Q 85"),
    "jpg-iptc": (0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0"),
    "jpg-8bim-url": (0xED, b"Photoshop 3.0\x008BIM\x04\x0b\0\0"),
    "jpg-8bim-thumb": (0xED, b"Photoshop 3.0\x008BIM\x04\x0c\0\0"),
    "jpg-app14-long": (0xEE, b"Adobe\0\x64\0\0\0\0\1"),
    "jpg-jfxx-thumb": (0xE0, b"JFXX\0\x13"),
    "jpg-jpgn": (0xF5, b""),
    "jpg-com": (0xFE, b""),
}


def into_jpeg(good: bytes, word: bytes) -> dict[str, bytes]:
    """`good` begins with APP0 of 14 bytes and has one scan."""
    block = pieces.segment(0xE1, b"Exif\0\0" + samples.exif(canary=word.decode()))
    scan = good.index(b"\xff\xda")
    film = pieces.box(b"ftyp", b"mp42\0\0\0\0") + pieces.box(b"mdat", word)
    made = {name: _after_app0(good, pieces.segment(marker, head + word)) for name, (marker, head) in _VENDORS.items()}
    return made | {
        "jpg-exif": _after_app0(good, block),
        "jpg-exif-two": _after_app0(good, block * 2),
        "jpg-exif-late": good[:scan] + block + good[scan:],
        "jpg-xmp": _after_app0(good, pieces.segment(0xE1, _XMP + samples.xmp(word.decode()))),
        "jpg-xmp-extended": _after_app0(
            good, pieces.segment(0xE1, _MORE + b"0" * 32 + struct.pack(">II", len(word), 0) + word)
        ),
        "jpg-icc-private": _after_app0(good, pieces.segment(0xE2, _ICC + _srgb(word))),
        "jpg-com-second": _after_app0(good, pieces.segment(0xFE, b"one") + pieces.segment(0xFE, word)),
        "jpg-jfif-thumb": good[:4] + struct.pack(">H", 16 + 48) + good[6:18] + b"\4\4" + (word * 48)[:48] + good[20:],
        "jpg-dpi": good[:13] + b"\1\x01\x2c\x01\x2c" + good[18:],
        "jpg-stray": good[:20] + word + good[20:],
        "jpg-fill": good[:20] + b"\xff\xff" + good[20:],
        "jpg-dqt": good[:scan] + pieces.segment(0xDB, b"\3" + (word * 64)[:64]) + good[scan:],
        "jpg-dht": good[:scan] + _letters_table(word) + good[scan:],
        "jpg-eoi-jpeg": good + samples.photo((64, 48), canary=word.decode()),
        "jpg-eoi-mp4": good + film,
        "jpg-eoi-samsung": good + b"MotionPhoto_Data" + word + b"SEFH\0\0SEFT",
        "jpg-eoi-byte": good + b"\0",
        "jpg-scan-tail": good[:-2] + b"\xff\0" + word + good[-2:],
        "jpg-scan-byte": good[:-2] + b"A" + good[-2:],
        "jpg-scan-restart": good[:-2] + b"\xff\xd0" + word + good[-2:],
        "jpg-restarts": good[:-2] + b"\xff\xd0\xff\xd3" + good[-2:],
    }


def between_scans(progressive: bytes, word: bytes) -> bytes:
    """`jpg-between-scans`: a comment and EXIF before the last scan."""
    last = progressive.rindex(b"\xff\xda")
    block = pieces.segment(0xFE, word) + pieces.segment(0xE1, b"Exif\0\0" + samples.exif(canary=word.decode()))
    return progressive[:last] + block + progressive[last:]


def scan_tail(progressive: bytes, word: bytes) -> bytes:
    """A tail in a scan that is not the last: behind the samples that came before the second scan's tables."""
    first = progressive.index(b"\xff\xda")
    at = progressive.index(b"\xff\xc4", first)
    return progressive[:at] + b"\xff\0" + word + progressive[at:]


def _after_app0(good: bytes, segments: bytes) -> bytes:
    return good[:20] + segments + good[20:]


def _letters_table(word: bytes) -> bytes:
    """A Huffman table that no component names, its symbols a text."""
    symbols = bytes(dict.fromkeys(word))[:16]
    return pieces.segment(0xC4, b"\x13" + bytes((0, 0, 0, 0, len(symbols), *[0] * 11)) + symbols)


def _srgb(word: bytes) -> bytes:
    """A profile of the colours of sRGB, with a text in it."""
    return pieces.rgb_profile("srgb", text=word.decode(), gamma=None)


def into_png(good: bytes, word: bytes) -> dict[str, bytes]:
    """`good` is a still of 8-bit samples."""
    text = word.decode()
    raw = f"\nexif\n{len(word)}\n{word.hex()}\n".encode()
    after_head: dict[str, tuple[bytes, bytes]] = {
        "png-exif": (b"eXIf", samples.exif(canary=text)),
        "png-text": (b"tEXt", b"Author\0" + word),
        "png-ztxt": (b"zTXt", b"Comment\0\0" + zlib.compress(word)),
        "png-itxt": (b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(word)),
        "png-xmp": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + samples.xmp(text)),
        "png-rawprofile": (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw)),
        "png-prompt": (b"tEXt", b"parameters\0" + word),
        "png-icc": (b"iCCP", b"icc\0\0" + zlib.compress(_srgb(word))),
        "png-icc-name": (b"iCCP", word[:79] + b"\0\0" + zlib.compress(_srgb(b"plain"))),
        "png-time": (b"tIME", b"\x07\xe8\x07\x0e\x0c\x22\x38"),
        "png-phys": (b"pHYs", b"\0\0\x2e\x23\0\0\x2e\x23\x01"),
        "png-cabx": (b"caBX", word),
        "png-private": (b"caNy", word),
        "png-splt": (b"sPLT", word + b"\0\x08"),
        "png-pcal": (b"pCAL", word),
        "png-scal": (b"sCAL", b"\1" + word),
        "png-idot": (b"iDOT", word),
        "png-offs": (b"oFFs", bytes(8) + b"\1"),
        "png-gifx": (b"gIFx", b"CANARY10" + word),
        "png-sbit": (b"sBIT", b"\7\7\7"),
        "png-gamma": (b"gAMA", struct.pack(">I", 45_454)),
    }
    made = {name: pieces.with_chunks(good, pieces.chunk(*each)) for name, each in after_head.items()}
    return made | {
        "png-text-late": _put(good, -1, pieces.chunk(b"tEXt", b"Author\0" + word)),
        "png-idat-tail": _repacked(good, lambda packed: packed + word),
        "png-extra-rows": _repacked(good, lambda packed: zlib.compress(zlib.decompress(packed) + word * 9)),
        "png-iend": pieces.png_of([*pieces.chunks_of(good)[:-1], (b"IEND", word)]),
        "png-trailer": good + word,
    }


def _put(png: bytes, at: int, extra: bytes) -> bytes:
    chunks = [pieces.chunk(*each) for each in pieces.chunks_of(png)]
    return pieces.PNG + b"".join(chunks[:at]) + extra + b"".join(chunks[at:])


def _repacked(png: bytes, change: Callable[[bytes], bytes]) -> bytes:
    chunks = pieces.chunks_of(png)
    packed = b"".join(body for kind, body in chunks if kind == b"IDAT")
    others = [(kind, body) for kind, body in chunks if kind != b"IDAT"]
    return pieces.png_of([*others[:-1], (b"IDAT", change(packed)), others[-1]])


def into_palette(good: bytes, word: bytes) -> bytes:
    """`png-palette`: entries behind those in use, full of text."""
    extra = word + bytes(-len(word) % 3)
    chunks = [(kind, body + extra if kind == b"PLTE" else body) for kind, body in pieces.chunks_of(good)]
    return pieces.png_of(chunks)


def into_apng(good: bytes, word: bytes) -> dict[str, bytes]:
    """`good` is animated and shows its default image."""
    chunks = pieces.chunks_of(good)
    tails = [(kind, body + word if kind == b"fdAT" else body) for kind, body in chunks]
    frame = next(number for number, (kind, _) in enumerate(chunks) if kind == b"fdAT")
    text = [*chunks[:frame], (b"tEXt", b"Author\0" + word), *chunks[frame:]]
    return {"apng-fdat-tail": pieces.png_of(tails), "apng-text": pieces.png_of(text)}


def into_gif(good: bytes, word: bytes) -> dict[str, bytes]:
    """`good` has a palette of its own for all, and 0x3B at its end."""
    begin = 13 + (3 << ((good[10] & 7) + 1))
    block = bytes((len(word),)) + word + b"\0"
    loop = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0"
    before: dict[str, bytes] = {
        "gif-comment": b"\x21\xfe" + block,
        "gif-plaintext": b"\x21\x01\x0c" + bytes(12) + block,
        "gif-xmp": b"\x21\xff\x0bXMP DataXMP" + block,
        "gif-icc": b"\x21\xff\x0bICCRGBG1012" + block,
        "gif-app": b"\x21\xff\x0bCANARYAPP10" + block,
        "gif-unknown": b"\x21\x99" + block,
        "gif-netscape": loop + block,
        "gif-two-loops": loop + b"\0" + loop + b"\0",
    }
    made = {name: good[:begin] + extra + good[begin:] for name, extra in before.items()}
    return made | {
        "gif-trailer": good + word,
        "gif-end-comment": good[:-1] + b"\x21\xfe" + block + b"\x3b",
        # The last image's chain ends before the last byte: a sub-block behind the end code.
        "gif-lzw-tail": good[:-2] + block + b"\x3b",
        "gif-aspect": good[:12] + b"\x31" + good[13:],
    }


def into_gif_palette(good: bytes, unused: int, word: bytes) -> bytes:
    """`gif-palette`: the first letters of the word in an entry that no pixel uses."""
    at = 13 + 3 * unused
    return good[:at] + word[:3] + good[at + 3 :]


def into_webp(good: bytes, size: tuple[int, int], word: bytes) -> dict[str, bytes]:
    """`good` is a still, lossy and without alpha."""
    text = word.decode()
    picture = pieces.riff_chunks(good)[-1]
    return {
        "webp-exif": pieces.extended(
            good, flags=0x08, size=size, more=[pieces.riff(b"EXIF", samples.exif(canary=text))]
        ),
        "webp-xmp": pieces.extended(good, flags=0x04, size=size, more=[pieces.riff(b"XMP ", samples.xmp(text))]),
        "webp-icc": _with_profile(picture, size, _srgb(word)),
        "webp-unknown": pieces.webp_of(pieces.riff(*picture), pieces.riff(b"CANY", word)),
        "webp-c2pa": pieces.webp_of(pieces.riff(*picture), pieces.riff(b"C2PA", word)),
        "webp-vp8-tail": pieces.webp_of(pieces.riff(picture[0], picture[1] + word)),
        "webp-trailer": good + word,
    }


def _with_profile(picture: tuple[bytes, bytes], size: tuple[int, int], profile: bytes) -> bytes:
    head = bytes((0x20, 0, 0, 0)) + b"".join((side - 1).to_bytes(3, "little") for side in size)
    return pieces.webp_of(pieces.riff(b"VP8X", head), pieces.riff(b"ICCP", profile), pieces.riff(*picture))


def into_frames(good: bytes, word: bytes) -> bytes:
    """`webp-anmf`: a chunk inside each frame of an animation."""
    chunks = pieces.riff_chunks(good)
    made = [(kind, body + pieces.riff(b"EXIF", word) if kind == b"ANMF" else body) for kind, body in chunks]
    return pieces.webp_of(*(pieces.riff(*each) for each in made))
