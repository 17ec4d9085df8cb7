"""The fourteen escapes of security.md S25, tried in a jailed child, and the proof that decoding still works there.

`attempt` and `decode` are verbs: they run inside. An escape that the kernel answers with anything but a refusal
counts as not blocked, also when it failed for another reason.
"""

from __future__ import annotations

import ctypes
import errno
import io
import os
import socket
import struct
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

_REFUSALS = {errno.EPERM, errno.EACCES}
_PTRACE_SEIZE = 0x4206  # unlike ATTACH it does not stop a parent that it gets hold of
_libc = ctypes.CDLL(None, use_errno=True)
_GIB = 1024**3

Args = dict[str, Any]


def _read_file(args: Args) -> None:
    os.close(os.open(args["file"], os.O_RDONLY))


def _write_file(args: Args) -> None:
    path = f"/dev/shm/mayfly-probe-{os.getpid()}"  # every Linux user may write there
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.unlink(path)


def _stat(args: Args) -> None:
    os.stat("/")


def _udp(args: Args) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(b"x", ("127.0.0.1", 9))


def _tcp(args: Args) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM):
        pass


def _abstract_socket(args: Args) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM):
        pass


def _exec(args: Args) -> None:
    os.execve("/bin/true", ["true"], {})


def _fork(args: Args) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _signal_parent(args: Args) -> None:
    os.kill(os.getppid(), 0)


def _ptrace_parent(args: Args) -> None:
    if _libc.ptrace(_PTRACE_SEIZE, os.getppid(), None, None) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _parent_environment(args: Args) -> None:
    os.close(os.open(f"/proc/{args['worker']}/environ", os.O_RDONLY))


def _two_gib(args: Args) -> None:
    bytearray(2 * _GIB)


def _spin(args: Args) -> None:
    while True:
        pass


def _big_file(args: Args) -> None:
    os.write(args["fd"], b"x")


PROBES: dict[str, Callable[[Args], None]] = {
    "read_file": _read_file,
    "write_file": _write_file,
    "stat": _stat,
    "udp": _udp,
    "tcp": _tcp,
    "abstract_socket": _abstract_socket,
    "exec": _exec,
    "fork": _fork,
    "signal_parent": _signal_parent,
    "ptrace_parent": _ptrace_parent,
    "parent_environment": _parent_environment,
    "memory_2_gib": _two_gib,
    "cpu_time": _spin,
    "big_file": _big_file,
}
# What ends each probe when the walls stand: these die by a limit, all others by a refusal or by SIGSYS.
BY_LIMIT = {"memory_2_gib": "decoder_memory", "cpu_time": "decoder_timeout"}


def attempt(source: BinaryIO | None, args: Args) -> tuple[dict[str, Any], list[bytes]]:
    """Try one escape. The answer says whether the kernel refused, and the errno's name."""
    try:
        PROBES[args["probe"]](args)
    except OSError as error:
        refused = error.errno in _REFUSALS or (args["probe"] == "big_file" and error.errno == errno.EFBIG)
        return {"blocked": refused, "detail": errno.errorcode.get(error.errno or 0, "OSError")}, []
    return {"blocked": False, "detail": "it went through"}, []


def decode(source: BinaryIO | None, args: Args) -> tuple[dict[str, Any], list[bytes]]:
    """Decode the picture in `source`, shrink it, save it as WebP: what jailed children are for."""
    from PIL import Image  # loaded by the zygote; the worker imports this module too and must stay without decoders

    if source is None:
        raise ValueError("a picture is needed")
    with Image.open(source, formats=("PNG",)) as picture:
        picture.load()
        small = picture.convert("RGB").resize((8, 8))
        body = io.BytesIO()
        small.save(body, "WEBP")
        return {"width": picture.width, "height": picture.height}, [body.getvalue()]


def sample() -> bytes:
    """A PNG of our own, 32 by 24, made without a decoder: the parent decodes nothing, not even this."""
    width, height = 32, 24
    rows = b"".join(b"\x00" + b"".join(bytes((x * 8, y * 10, 128)) for x in range(width)) for y in range(height))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
