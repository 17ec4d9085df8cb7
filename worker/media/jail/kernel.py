"""The few calls that Python does not offer: prctl and raw system calls, each raising OSError, and malloc_trim."""

from __future__ import annotations

import ctypes
import os

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
PR_CAPBSET_READ = 23

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _raise(step: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{step}: {os.strerror(number)}")


def prctl(option: int, *args: int) -> int:
    """`prctl(2)`; missing arguments are zero, as several options insist on that."""
    padded = [ctypes.c_ulong(value) for value in (*args, 0, 0, 0, 0)[:4]]
    answer = int(_libc.prctl(ctypes.c_int(option), *padded))
    if answer < 0:
        raise _raise("prctl")
    return answer


def syscall(number: int, *args: int | ctypes.Array[ctypes.c_char] | None) -> int:
    """A raw system call; an integer, a buffer or NULL a place."""
    passed = [ctypes.c_long(value) if isinstance(value, int) else value for value in args]
    answer = int(_libc.syscall(ctypes.c_long(number), *passed))
    if answer < 0:
        raise _raise("system call")
    return answer


def give_back() -> None:
    """`malloc_trim(3)`: free pages go back to the kernel. A C library without it (musl) keeps none to speak of."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(ctypes.c_size_t(0))


def address(buffer: ctypes.Array[ctypes.c_char]) -> int:
    return ctypes.addressof(buffer)
