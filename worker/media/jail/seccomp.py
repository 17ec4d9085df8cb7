"""Which system calls a jailed child may make, as BPF built here: an allow-list for pictures, a deny-list for tools.

A wrong architecture or an x32 call kills. The image list has no open, no stat, no socket: with `newfstatat` a child
could ask whether any path exists, which Landlock does not cover.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import struct
from collections.abc import Iterable

from worker.media.jail import kernel
from worker.media.jail.syscalls import ALLOW as NEEDED
from worker.media.jail.syscalls import DENY, NEWEST, THREADS, Machine
from worker.media.jail.syscalls import KILL as HOSTILE

ALLOW = 0x7FFF0000
KILL = 0x80000000
_ERRNO = 0x00050000
REFUSE = _ERRNO | errno.EPERM
ABSENT = _ERRNO | errno.ENOSYS

_CLONE_THREAD = 0x00010000
_X32_BIT = 0x40000000
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data

Step = tuple[int, int, int, int]


def _load(offset: int) -> Step:
    return (0x20, 0, 0, offset)


def _give(action: int) -> Step:
    return (0x06, 0, 0, action)


def _equal(value: int, otherwise: int) -> Step:
    return (0x15, 0, otherwise, value)


def _argument(index: int) -> Step:
    # The low half: both machines are little-endian, and pids, flags and options are 32 bits wide.
    return _load(16 + 8 * index)


def _door(machine: Machine) -> list[Step]:
    known = (0x15, 1, 0, machine.audit)  # jump over the kill
    steps = [_load(_ARCHITECTURE), known, _give(KILL), _load(_NUMBER)]
    if machine.x32:
        steps += [(0x35, 0, 1, _X32_BIT), _give(KILL)]
    return steps


def _each(numbers: Iterable[int], action: int) -> list[Step]:
    return [step for number in numbers for step in (_equal(number, 1), _give(action))]


def _when(machine: Machine, name: str, body: list[Step]) -> list[Step]:
    """`body` runs for that call only, and must end in a verdict on every way."""
    number = machine.number(name)
    return [] if number is None else [_equal(number, len(body)), *body]


def _only_threads(machine: Machine, otherwise: int) -> list[Step]:
    """`clone` for a thread, nothing else; `clone3` hides its flags in memory, so it does not exist here."""
    body = [_argument(0), (0x45, 0, 1, _CLONE_THREAD), _give(ALLOW), _give(otherwise)]
    return _when(machine, "clone", body) + _when(machine, "clone3", [_give(ABSENT)])


@functools.cache
def image_program(machine: Machine, *, threads: bool) -> tuple[Step, ...]:
    """The allow-list: what is not named gets EPERM, what has no innocent reason kills."""
    steps = _door(machine) + _each(machine.images(NEEDED), ALLOW) + _each(machine.images(HOSTILE), KILL)
    if threads:
        steps += _each(machine.images(THREADS), ALLOW) + _only_threads(machine, KILL)
    else:
        steps += _when(machine, "clone", [_give(KILL)]) + _when(machine, "clone3", [_give(KILL)])
    return (*steps, _give(REFUSE))


def tool_program(machine: Machine, *, pid: int) -> tuple[Step, ...]:
    """The deny-list. A signal reaches `pid` (its own) only; PDEATHSIG cannot be taken back."""
    own = [_argument(0), _equal(pid, 1), _give(ALLOW), _give(REFUSE)]
    steps = [*_door(machine), (0x25, 0, 1, NEWEST), _give(ABSENT), *_each(machine.tools(DENY), REFUSE)]
    steps += _only_threads(machine, REFUSE)
    steps += _when(machine, "kill", own) + _when(machine, "tgkill", own)
    steps += _when(machine, "prlimit64", [_argument(0), _equal(0, 1), _give(ALLOW), _give(REFUSE)])
    steps += _when(machine, "prctl", [_argument(0), _equal(kernel.PR_SET_PDEATHSIG, 1), _give(REFUSE), _give(ALLOW)])
    return (*steps, _give(ALLOW))


@functools.cache
def instructions(steps: tuple[Step, ...]) -> bytes:
    """As the kernel takes them, `struct sock_filter` each."""
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def install(steps: tuple[Step, ...]) -> None:
    """Lay the filter on this process. Needs no_new_privs first; raises OSError where the kernel has no seccomp."""
    packed = instructions(steps)
    code = ctypes.create_string_buffer(packed, len(packed))
    program = ctypes.create_string_buffer(struct.pack("=H6xQ", len(steps), kernel.address(code)), 16)
    filter_mode = 2
    kernel.prctl(kernel.PR_SET_SECCOMP, filter_mode, kernel.address(program))
