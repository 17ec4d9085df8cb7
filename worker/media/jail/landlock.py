"""Landlock: the kernel's file, TCP and scope fence, given up by the child itself and never to be had back.

Every right the running kernel knows is handled; what no rule grants is refused. Pictures get no rule at all.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from worker.media.jail import kernel

# Numbers are the same on every architecture (they are newer than the common table of Linux 5.1).
_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_FILE, MAKE_REG = 1 << 5, 1 << 8
TRUNCATE = 1 << 14

READ = READ_FILE
PROGRAM = READ_FILE | EXECUTE
TREE = READ_FILE | READ_DIR | EXECUTE
DEVICE = READ_FILE | WRITE_FILE | TRUNCATE
# A tool writes, reads back (faststart), renames and removes its own files; it makes no directory, link or node.
SCRATCH = READ_FILE | WRITE_FILE | READ_DIR | REMOVE_FILE | MAKE_REG | TRUNCATE
_FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | (1 << 15)

_FS_BITS = {1: 13, 2: 14, 3: 15, 4: 15}  # ABI -> how many file rights it knows; from 5 on 16 (device ioctls)
_NET_RIGHTS = 0b11  # bind, connect of TCP, from ABI 4
_SCOPES = 0b11  # abstract Unix sockets, signals, from ABI 6


@dataclass(frozen=True)
class Grant:
    """Below `path` these rights hold. An absent `optional` path is passed over; a symlink only where `follow`."""

    path: str
    rights: int
    optional: bool = False
    follow: bool = True


def abi() -> int:
    """The kernel's Landlock version; 0 where there is none."""
    try:
        return kernel.syscall(_CREATE, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def _handled(version: int) -> tuple[int, bytes]:
    rights = (1 << _FS_BITS.get(version, 16)) - 1
    fields = [rights]
    if version >= 4:
        fields.append(_NET_RIGHTS)
    if version >= 6:
        fields.append(_SCOPES)
    return rights, struct.pack(f"={len(fields)}Q", *fields)


def _allow(ruleset: int, grant: Grant, handled: int) -> None:
    try:
        place = os.open(grant.path, os.O_PATH | os.O_CLOEXEC | (0 if grant.follow else os.O_NOFOLLOW))
    except FileNotFoundError:
        if grant.optional:
            return
        raise
    try:
        rights = grant.rights & handled
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _FILE_RIGHTS
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, place), 12)
        kernel.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, kernel.address(rule), 0)
    finally:
        os.close(place)


def restrict(grants: Iterable[Grant]) -> int:
    """Fence this process in; returns the ABI used. Needs no_new_privs first. Raises OSError where it cannot."""
    version = abi()
    if version == 0:
        raise OSError("this kernel has no Landlock")
    handled, packed = _handled(version)
    attributes = ctypes.create_string_buffer(packed, len(packed))
    ruleset = kernel.syscall(_CREATE, kernel.address(attributes), len(packed), 0)
    try:
        for grant in grants:
            _allow(ruleset, grant, handled)
        kernel.syscall(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return version
