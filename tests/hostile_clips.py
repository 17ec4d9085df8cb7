"""Clips that are broken, lie, or are something else in a clip's clothes. What they would reach is ours as well."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from tests import boxes, clips

_QUICK = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


def cut(folder: Path, whole: Path, share: float) -> Path:
    """The beginning of a clip: its last bytes never came."""
    target = folder / f"cut-{share}-{whole.name}"
    body = whole.read_bytes()
    target.write_bytes(body[: int(len(body) * share)])
    return target


def index_first(folder: Path, *, seconds: float = 4) -> Path:
    """An MP4 whose tables come before its samples, so that it opens however short it is cut."""
    target = folder / "first.mp4"
    clips.ffmpeg(*clips.picture(seconds=seconds), *clips.tone(seconds), *_QUICK, "-movflags", "+faststart", target)
    return target


def fragmented(folder: Path, *, seconds: float = 4) -> Path:
    """An MP4 without tables in front: pieces, each with its own."""
    target = folder / "pieces.mp4"
    how = ("-g", "25", "-movflags", "frag_keyframe+empty_moov")
    clips.ffmpeg(*clips.picture(seconds=seconds), *clips.tone(seconds), *_QUICK, *how, target)
    return target


def corrupt(folder: Path) -> Path:
    """H.264 with noise in its slices; every length and table is right."""
    film = bytearray(clips.silent(folder).read_bytes())
    for begin, size in boxes.samples(bytes(film), 0)[3:20]:
        for at in range(begin + 12, begin + size - 4, 97):
            film[at] ^= 0x5A
    target = folder / "corrupt.mp4"
    target.write_bytes(film)
    return target


def lying(folder: Path, *, says_s: float) -> Path:
    """A Matroska of one second that says another length."""
    whole = clips.webm(folder)
    body = whole.read_bytes()
    at = body.index(b"\x44\x89\x88") + 3
    target = folder / f"says-{says_s:g}.webm"
    target.write_bytes(body[:at] + struct.pack(">d", says_s * 1000) + body[at + 8 :])
    return target


def boastful(folder: Path, *, says_s: int) -> Path:
    """An MP4 of one second whose film header says another length."""
    film = clips.silent(folder).read_bytes()
    target = folder / f"says-{says_s}.mp4"
    target.write_bytes(boxes.changed(film, "moov/mvhd", boxes.patched(16, struct.pack(">I", says_s * 1000))))
    return target


def endless(folder: Path, *, seconds: int) -> Path:
    """A long film of two tiny frames a second, which does not say how long it is."""
    target = folder / "endless.mkv"
    clips.ffmpeg(*clips.colour("gray", "32x32", "2", seconds), *_QUICK, "-live", "1", "-f", "matroska", target)
    return target


def gap(folder: Path, *, says_s: float | None = None) -> Path:
    """Frames with 100,000 seconds between two of them, in some kilobytes; `says_s` patches the length it claims."""
    target = folder / "gap.mkv"
    later = "setpts='if(lt(N,5),N,N+100000*25)/25/TB'"
    clips.ffmpeg(
        *clips.picture(seconds=0.4), "-vf", later, "-fps_mode", "vfr", "-enc_time_base", "1:1000", *_QUICK, target
    )
    if says_s is not None:
        body = target.read_bytes()
        at = body.index(b"\x44\x89\x88") + 3
        target.write_bytes(body[:at] + struct.pack(">d", says_s * 1000) + body[at + 8 :])
    return target


def crowd(folder: Path, *, streams: int = 400) -> Path:
    """One picture, mapped very often."""
    one = folder / "one-of-many.mp4"
    clips.ffmpeg(*clips.picture("32x32", seconds=0.2), *_QUICK, one)
    target = folder / "crowd.mp4"
    clips.ffmpeg("-i", one, *("-map", "0:v") * streams, "-c", "copy", target)
    return target


def vast(folder: Path, *, side: int = 16_000) -> Path:
    """A small clip whose parameter set says that its pictures are `side` pixels a side."""
    film = clips.silent(folder).read_bytes()
    sps = _sps(side)

    def change(stsd: bytes) -> bytes:
        at = stsd.index(b"avcC") + 4
        length = struct.unpack_from(">H", stsd, at + 6)[0]
        grown = len(sps) - length
        new = stsd[:at] + b"\1" + sps[1:4] + stsd[at + 4 : at + 6] + struct.pack(">H", len(sps)) + sps
        new += stsd[at + 8 + length :]
        for start in (at - 8, 8):
            new = boxes.patched(start, struct.pack(">I", struct.unpack_from(">I", new, start)[0] + grown))(new)
        return new

    target = folder / "vast.mp4"
    target.write_bytes(boxes.changed(film, "moov/trak/mdia/minf/stbl/stsd", change))
    return target


def _sps(side: int) -> bytes:
    """Baseline, level 6.2, no crop, no VUI."""
    bits = "01000010" + "11000000" + "00111110"
    bits += "".join(_number(value) for value in (0, 0, 2, 1)) + "0"
    bits += _number(side // 16 - 1) * 2 + "1" + "1" + "0" + "0" + "1"
    bits += "0" * (-len(bits) % 8)
    return b"\x67" + int(bits, 2).to_bytes(len(bits) // 8, "big")


def _number(value: int) -> str:
    """Exp-Golomb."""
    bits = f"{value + 1:b}"
    return "0" * (len(bits) - 1) + bits


# Texts that a demuxer would follow to another file: name -> (demuxer that takes it, text with `{other}` as a path).
FOLLOWERS: dict[str, tuple[str, str]] = {
    "hls": (
        "hls",
        "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile:{other}\n#EXT-X-ENDLIST\n",
    ),
    "dash": (
        "dash",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT2S" minBufferTime="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
        '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1" codecs="avc1.42c00a">'
        "<BaseURL>file://{other}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    ),
    "ffconcat": ("concat", "ffconcat version 1.0\nfile '{other}'\n"),
    "sdp": ("sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"),
    "svg": (
        "svg_pipe",
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="64" height="64">'
        '<image xlink:href="file://{other}" width="64" height="64"/></svg>',
    ),
    "srt": ("srt", "1\n00:00:00,000 --> 00:00:02,000\nfile:{other}\n"),
}


def follower(folder: Path, name: str, other: Path) -> Path:
    """One of them as `upload.mp4`."""
    target = folder / f"{name}.mp4"
    target.write_text(FOLLOWERS[name][1].format(other=other))
    return target


# More that would be followed, or played without end, by one ffmpeg or another; `{port}` is of a server on loopback.
REACHING: dict[str, str] = {
    "dash-relative": FOLLOWERS["dash"][1].replace("file://{other}", "other.mp4"),
    "ffconcat-relative": "ffconcat version 1.0\nfile 'other.mp4'\n",
    "hls-master": '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nfile:{other}\n',
    "hls-http": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nhttp://127.0.0.1:{port}/x.ts\n#EXT-X-ENDLIST\n",
    "dash-http": FOLLOWERS["dash"][1].replace("file://{other}", "http://127.0.0.1:{port}/x.mp4"),
    # A tune of a games console, whose program only returns, and a document behind it.
    "nes-and-pdf": "NESM\x1a\x01\x01\x01\0\x80\0\x80\0\x80" + "\0" * 96 + "\x1a\x41" + "\0" * 16 + "`" * 64
    + "%PDF-1.7 1 0 obj<<>>endobj %%EOF",
}  # fmt: skip

# What must be refused, each with its code, by name.
BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "mp4 cut in its samples": (lambda folder: cut(folder, index_first(folder), 0.6), "truncated"),
    "mp4 cut near its end": (lambda folder: cut(folder, index_first(folder), 0.98), "truncated"),
    "mp4 without its tables": (lambda folder: cut(folder, clips.mp4(folder), 0.9), "truncated"),
    "pieces cut": (lambda folder: cut(folder, fragmented(folder), 0.6), "truncated"),
    "mkv cut": (lambda folder: cut(folder, clips.mkv(folder), 0.5), "truncated"),
    "mkv cut near its end": (lambda folder: cut(folder, clips.mkv(folder), 0.97), "truncated"),
    "webm cut": (lambda folder: cut(folder, clips.webm(folder), 0.5), "truncated"),
    "corrupt slices": (corrupt, "corrupt"),
    "webm that says ten seconds": (lambda folder: lying(folder, says_s=10), "truncated"),
    "webm that says an hour": (lambda folder: lying(folder, says_s=3_600), "limits:duration"),
    "mp4 that says an hour": (lambda folder: boastful(folder, says_s=3_600), "limits:duration"),
    "gap of a day": (gap, "limits:duration"),
    "film without end": (lambda folder: endless(folder, seconds=603), "limits:duration"),
    "400 streams": (crowd, "limits:streams"),
    "16000 pixels a side": (vast, "limits:pixels"),
    "sound alone": (clips.sound_only, "no_video"),
}
