"""The seccomp filters of both machines, run by a small BPF machine: they say what the table of calls says."""

from __future__ import annotations

import struct

import pytest

from worker.media.jail import seccomp
from worker.media.jail.landlock import SCRATCH
from worker.media.jail.syscalls import CALLS, MACHINES


def verdict(program: tuple[seccomp.Step, ...], audit: int, number: int, *args: int) -> int:
    """Run a BPF program over one call, as the kernel would."""
    data = struct.pack("<IIQ6Q", number, audit, 0, *(args + (0,) * 6)[:6])
    loaded, at = 0, 0
    while True:
        code, if_true, if_false, value = program[at]
        at += 1
        if code == 0x20:
            (loaded,) = struct.unpack_from("<I", data, value)
        elif code == 0x06:
            return value
        else:
            holds = {0x15: loaded == value, 0x25: loaded > value, 0x35: loaded >= value, 0x45: bool(loaded & value)}
            at += if_true if holds[code] else if_false


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_the_filters_say_what_the_table_says(name: str) -> None:
    machine = MACHINES[name]
    narrow = seccomp.image_program(machine, threads=False)
    wide = seccomp.image_program(machine, threads=True)
    tool = seccomp.tool_program(machine, pid=4711)
    images = {"allow": seccomp.ALLOW, "kill": seccomp.KILL, "threads": seccomp.REFUSE, "": seccomp.REFUSE}
    by_argument = {"clone", "clone3", "kill", "tgkill", "prlimit64", "prctl"}

    for call in CALLS:
        number = machine.number(call.name)
        if number is None or call.name in by_argument:
            continue
        assert verdict(narrow, machine.audit, number) == images[call.image], call.name
        allowed = seccomp.ALLOW if call.image == "threads" else images[call.image]
        assert verdict(wide, machine.audit, number) == allowed, call.name
        expected = seccomp.REFUSE if call.tool == "deny" else seccomp.ALLOW
        assert verdict(tool, machine.audit, number) == expected, call.name
    assert max(len(narrow), len(wide), len(tool)) < 4096


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_the_filters_judge_by_argument_where_they_must(name: str) -> None:
    machine = MACHINES[name]
    audit = machine.audit
    narrow = seccomp.image_program(machine, threads=False)
    wide = seccomp.image_program(machine, threads=True)
    tool = seccomp.tool_program(machine, pid=4711)
    number = {call.name: machine.number(call.name) or 0 for call in CALLS}
    thread = 0x3D0F00

    assert verdict(narrow, audit, number["clone"], thread) == seccomp.KILL
    assert verdict(wide, audit, number["clone"], thread) == seccomp.ALLOW
    assert verdict(wide, audit, number["clone"], 17) == seccomp.KILL
    assert verdict(wide, audit, number["clone3"]) == seccomp.ABSENT
    assert verdict(tool, audit, number["clone"], thread) == seccomp.ALLOW
    assert verdict(tool, audit, number["clone"], 17) == seccomp.REFUSE
    assert verdict(tool, audit, number["clone3"]) == seccomp.ABSENT
    for signal_call in ("kill", "tgkill"):
        assert verdict(tool, audit, number[signal_call], 4711) == seccomp.ALLOW
        assert verdict(tool, audit, number[signal_call], 1) == seccomp.REFUSE
    assert verdict(tool, audit, number["prlimit64"], 0) == seccomp.ALLOW
    assert verdict(tool, audit, number["prlimit64"], 9) == seccomp.REFUSE
    assert verdict(tool, audit, number["prctl"], 1) == seccomp.REFUSE
    assert verdict(tool, audit, 9999) == seccomp.ABSENT
    for program in (narrow, wide, tool):
        assert verdict(program, 0x40000003, number["read"]) == seccomp.KILL  # 32-bit
        if machine.x32:
            assert verdict(program, audit, 0x40000000 | number["read"]) == seccomp.KILL


def test_scratch_never_grants_execution() -> None:
    assert SCRATCH & 1 == 0
