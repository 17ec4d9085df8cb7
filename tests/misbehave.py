"""A hostile decoder, for tests only: each verb lies, hangs, crashes or attacks in one way.

It runs inside the jail's child, as a decoder does that a crafted file has taken over: it writes to the answer's
descriptor directly, past our own framing.
"""

from __future__ import annotations

import ctypes
import io
import os
import select
import signal
import struct
import sys
import threading
import time
from typing import Any, BinaryIO

from PIL import Image

from worker.errors import Unprocessable

ANSWER = 4
_HEAD = struct.Struct("<4sBII")
_FSTAT = 5 if os.uname().machine == "x86_64" else 80
_libc = ctypes.CDLL(None, use_errno=True)

Args = dict[str, Any]
Made = tuple[dict[str, Any], list[bytes]]


def _say(
    kind: int, header: bytes, lengths: tuple[int, ...] = (), body: bytes = b"", *, count: int | None = None
) -> None:
    head = _HEAD.pack(b"MFJ1", kind, len(header), len(lengths) if count is None else count)
    os.write(ANSWER, head + header + b"".join(struct.pack("<Q", n) for n in lengths) + body)


def echo(source: BinaryIO | None, args: Args) -> Made:
    body = b"" if source is None else source.read()
    return {"args": args, "bytes": len(body)}, [body]


def big_answer(source: BinaryIO | None, args: Args) -> Made:
    return {}, [b"\x5a" * args["bytes"]]


def magic(source: BinaryIO | None, args: Args) -> Made:
    os.write(ANSWER, b"HTTP/1.1 200 OK\r\n\r\n")
    os._exit(0)


def size(source: BinaryIO | None, args: Args) -> Made:
    _say(1, b"{}", (1 << 50,), b"x")
    os._exit(0)


def count(source: BinaryIO | None, args: Args) -> Made:
    _say(1, b"{}", count=0xFFFFFFFF)
    os._exit(0)


def header_size(source: BinaryIO | None, args: Args) -> Made:
    os.write(ANSWER, _HEAD.pack(b"MFJ1", 1, 0xFFFFFFF0, 0))
    os._exit(0)


def short(source: BinaryIO | None, args: Args) -> Made:
    _say(1, b"{}", (100,), b"only this")
    os._exit(0)


def extra(source: BinaryIO | None, args: Args) -> Made:
    _say(1, b"{}", (3,), b"abcd")
    os._exit(0)


def endless(source: BinaryIO | None, args: Args) -> Made:
    _say(1, b"{}", (3,), b"abc")
    while True:
        os.write(ANSWER, bytes(65536))


def silent(source: BinaryIO | None, args: Args) -> Made:
    os._exit(0)


def not_json(source: BinaryIO | None, args: Args) -> Made:
    _say(1, b"{'a': 1}")
    os._exit(0)


def not_an_object(source: BinaryIO | None, args: Args) -> Made:
    _say(1, b"[1, 2]")
    os._exit(0)


def deep_json(source: BinaryIO | None, args: Args) -> Made:
    _say(1, b"[" * 200_000)
    os._exit(0)


def unknown_kind(source: BinaryIO | None, args: Args) -> Made:
    _say(9, b"{}")
    os._exit(0)


def unknown_code(source: BinaryIO | None, args: Args) -> Made:
    _say(2, b'{"code": "see http://evil.example"}')
    os._exit(0)


def refuse(source: BinaryIO | None, args: Args) -> Made:
    raise Unprocessable("the name of the file is canary-7731", code=args["code"])


def quote(source: BinaryIO | None, args: Args) -> Made:
    raise ValueError("canary-7731 at 48.1 north")


def status(source: BinaryIO | None, args: Args) -> Made:
    _say(1, b"{}")
    os._exit(3)


def flood_stderr(source: BinaryIO | None, args: Args) -> Made:
    for _ in range(1_000):
        os.write(2, bytes(65536))
        os.write(1, bytes(65536))
    return {"flooded": True}, []


def fork(source: BinaryIO | None, args: Args) -> Made:
    os.fork()
    return {}, []


def hang(source: BinaryIO | None, args: Args) -> Made:
    while True:
        select.poll().poll(60_000)


def answer_then_hang(source: BinaryIO | None, args: Args) -> Made:
    _say(1, b"{}")
    return hang(source, args)


def spin(source: BinaryIO | None, args: Args) -> Made:
    while True:
        pass


def spin_deaf(source: BinaryIO | None, args: Args) -> Made:
    for number in args["deaf"]:
        signal.signal(number, signal.SIG_IGN)
    return spin(source, args)


def spin_on_a_new_timer(source: BinaryIO | None, args: Args) -> Made:
    signal.setitimer(signal.ITIMER_PROF, 0)
    return spin(source, args)


def crash(source: BinaryIO | None, args: Args) -> Made:
    ctypes.string_at(0)
    return {}, []


def abort(source: BinaryIO | None, args: Args) -> Made:
    os.abort()


def memory(source: BinaryIO | None, args: Args) -> Made:
    hoard = []
    while True:
        hoard.append(bytearray(16 * 1024 * 1024))


def kill_zygote(source: BinaryIO | None, args: Args) -> Made:
    try:
        os.kill(os.getppid(), signal.SIGKILL)
    except PermissionError:
        return {"killed": False}, []
    return {"killed": True}, []


def late_import(source: BinaryIO | None, args: Args) -> Made:
    import wave

    return {"module": wave.__name__}, []


def look_around(source: BinaryIO | None, args: Args) -> Made:
    """Open descriptors (by raw fstat, which the list allows), environment, threads, group."""
    buffer = ctypes.create_string_buffer(256)
    fds = [fd for fd in range(200) if _libc.syscall(_FSTAT, fd, buffer) == 0]
    return {"fds": fds, "environment": dict(os.environ), "threads": threading.active_count(), "pid": os.getpid()}, []


def decode_as(source: BinaryIO | None, args: Args) -> Made:
    """An honest decode and encode of any one format."""
    assert source is not None
    with Image.open(source, formats=(args["format"],)) as picture:
        frames = 0
        for frame in range(args.get("frames", 1)):
            picture.seek(frame)
            picture.load()
            frames += 1
        body, other = io.BytesIO(), io.BytesIO()
        picture.convert("RGB").resize((20, 10)).save(body, "WEBP")
        picture.convert("RGB").save(other, "JPEG")
        return {"size": list(picture.size), "frames": frames}, [body.getvalue(), other.getvalue()]


def doubt(source: BinaryIO | None, args: Args) -> Made:
    """A second reader that finds something in everything."""
    raise Unprocessable("not proven", code="not_proven")


def start_thread(source: BinaryIO | None, args: Args) -> Made:
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(7))
    thread.start()
    thread.join()
    return {"seen": seen, "at": time.monotonic()}, []


VERBS = {
    f"misbehave.{name}": f"tests.misbehave:{name}"
    for name, verb in sorted(vars(sys.modules[__name__]).items())
    if callable(verb) and getattr(verb, "__module__", "") == __name__ and not name.startswith("_")
}
