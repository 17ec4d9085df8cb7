"""P6: untrusted bytes are decoded only in a jail: no network, limits on all it uses, no way to hang the worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import misbehave
from tests.processes import SMALL, alive, children_of, eventually
from worker.errors import Unavailable
from worker.media.jail import IMAGE_LIMITS, Jail, JailDeath, Level, probes, selftest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary-secret-2f9c"


@pytest.fixture(scope="module")
def jail() -> Iterator[Jail]:
    made = Jail("required", extra_verbs=misbehave.VERBS)
    made.start()
    yield made
    made.close()


def worker(body: str, **more: object) -> subprocess.Popen[str]:
    """A worker process of its own that runs `body`."""
    head = (
        "import os, sys\nfrom tests import misbehave\nfrom worker.media.jail import Jail, Limits\n"
        "limits = Limits(address_space=1 << 30, cpu_s=5, wall_s=60)\n"
    )
    command = [sys.executable, "-c", head + textwrap.dedent(body)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,  # type: ignore[call-overload]
    )


def test_all_fourteen_escapes_are_blocked_and_decoding_still_works(jail: Jail) -> None:
    results = jail.self_test()

    assert [result.name for result in results] == [*probes.PROBES, selftest.DECODE]
    assert len(probes.PROBES) == 14
    assert [result for result in results if not result.blocked] == []
    assert jail.level >= Level.L2


def test_the_escapes_do_get_through_where_no_wall_stands() -> None:
    """The probes can fail: outside the jail, the same functions come through."""
    inside = {"memory_2_gib", "cpu_time", "ptrace_parent", "exec", "big_file"}
    script = (
        "import sys, json, os; from worker.media.jail import probes;"
        "args = dict(worker=os.getpid(), file=probes.__file__, fd=1);"
        "print(json.dumps({n: probes.attempt(None, dict(args, probe=n))[0]['blocked'] for n in sys.argv[1:]}))"
    )
    names = [name for name in probes.PROBES if name not in inside]

    done = subprocess.run(
        [sys.executable, "-c", script, *names], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )

    assert "true" not in done.stdout
    assert done.stdout.count("false") == len(names)


# Runs before the worker: a filter that answers Landlock's calls as a kernel without Landlock does.
_NO_LANDLOCK = """
    import errno, platform
    from worker.media.jail import kernel, seccomp
    steps = [(0x20, 0, 0, 0), (0x35, 0, 3, 444), (0x25, 2, 0, 446), (0x06, 0, 0, 0x50000 | errno.ENOSYS)]
    steps += [(0x06, 0, 0, seccomp.ALLOW), (0x06, 0, 0, seccomp.ALLOW)]
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    seccomp.install(tuple(steps))
"""


def test_without_landlock_required_refuses_and_degraded_says_its_level() -> None:
    body = (
        _NO_LANDLOCK
        + """
    from worker.errors import Unavailable
    try:
        Jail("required").start()
    except Unavailable as error:
        print(error.code)
    jail = Jail("degraded", extra_verbs=misbehave.VERBS)
    jail.start()
    print(jail.level.name, jail.call("misbehave.echo", None, {}, limits).header["bytes"])
    print([r.name for r in jail.self_test() if not r.blocked])
    try:
        jail.run(["ffmpeg"], read=[], write=None, limits=limits)
    except Unavailable as error:
        print(error.code)
    jail.close()
    """
    )
    out, err = worker(body).communicate(timeout=60)

    lines = out.splitlines()
    assert lines[0] == "jail_unavailable", err
    assert lines[1] == "L1 0"
    assert lines[2] == "[]"  # the picture list alone still blocks all: it has no open, no socket
    assert lines[3] in ("jail_unavailable", "ffmpeg_missing")


def test_a_wall_that_falls_after_the_start_stops_the_call() -> None:
    """Strict children do not work without Landlock, even if nobody asked at the start."""
    body = (
        _NO_LANDLOCK
        + """
    from worker.errors import Unavailable
    from worker.media.jail.host import Host
    from worker.media.jail.verbs import VERBS
    jail = Jail("required", extra_verbs=misbehave.VERBS)
    host = Host(strict=True, table={**VERBS, **misbehave.VERBS}, extra_path=())
    try:
        jail._call(host, "misbehave.echo", None, {}, limits)
    except Unavailable as error:
        print(error.code, "landlock" in str(error))
    host.close()
    """
    )
    out, err = worker(body).communicate(timeout=60)

    assert out.strip() == "jail_unavailable True", err


def test_there_is_nothing_to_steal() -> None:
    """The worker's secret is nowhere in the zygote's environment or memory, and no descriptor is over."""
    body = """
    import re
    secret = os.environ["SECRET"]
    jail = Jail("degraded", extra_verbs=misbehave.VERBS)
    fd = os.open("/dev/null", os.O_RDONLY)
    seen = jail.call("misbehave.look_around", fd, {}, limits).header
    pid = jail._host.pid
    environ = open(f"/proc/{pid}/environ", "rb").read()
    found = 0
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            start, end, mode = re.match(r"(\\w+)-(\\w+) (\\S+)", line).groups()
            if mode.startswith("rw") and "[v" not in line:
                memory.seek(int(start, 16))
                found += secret.encode() in memory.read(int(end, 16) - int(start, 16))
    print(seen["fds"], seen["threads"], secret in repr(seen), environ, found)
    jail.close()
    """
    out, err = worker(body, env={"SECRET": CANARY, "PATH": os.environ.get("PATH", "")}).communicate(timeout=60)

    assert out.strip() == "[0, 1, 2, 4, 5] 1 False b'' 0", err


def test_everything_dies_with_the_worker() -> None:
    """SIGKILL the worker in mid-decode: zygote and child are gone."""
    body = """
    import threading
    jail = Jail("degraded", extra_verbs=misbehave.VERBS)
    jail.start()
    threading.Thread(target=jail.call, args=("misbehave.hang", None, {}, limits), daemon=True).start()
    print(jail._host.pid, flush=True)
    threading.Event().wait(60)
    """
    with worker(body) as process:
        assert process.stdout is not None
        zygote = int(process.stdout.readline())
        assert eventually(lambda: len(children_of(zygote)) == 1)
        (child,) = children_of(zygote)

        process.send_signal(signal.SIGKILL)
        process.wait(5)

        assert eventually(lambda: not alive(zygote) and not alive(child))


def test_a_child_cannot_end_its_zygote(jail: Jail) -> None:
    assert jail.call("misbehave.kill_zygote", None, {}, SMALL).header == {"killed": False}


def test_no_decoder_is_loaded_in_the_worker() -> None:
    body = """
    jail = Jail("degraded", extra_verbs={})
    jail.start()
    print([name for name in ("PIL", "pillow_heif", "thumbhash") if name in sys.modules])
    jail.close()
    """
    head = "import sys\nfrom worker.media.jail import Jail\n"
    done = subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(body)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert done.stdout.strip() == "[]", done.stderr


def test_a_hundred_crashes_leave_no_process_and_no_descriptor(jail: Jail) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))

    for _ in range(100):
        with pytest.raises(JailDeath):
            jail.call("misbehave.crash", None, {}, SMALL)

    host = jail._host
    assert host is not None
    assert children_of(host.pid) == set()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    # The zygote reports a child just before it lets go of the child's last two descriptors.
    assert eventually(lambda: len(os.listdir(f"/proc/{host.pid}/fd")) == 5)


def test_the_limits_hold_64_megapixels(jail: Jail) -> None:
    """The frame, its copy in another mode and the answer all fit: 64 MP RGBA is 256 MB."""
    answer = jail.call("misbehave.big_answer", None, {"bytes": 256 * 1024 * 1024}, IMAGE_LIMITS)

    assert len(answer.blobs[0]) == 256 * 1024 * 1024


def test_an_unstartable_jail_is_unavailable_not_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(Unavailable) as error:
        Jail("degraded").start()

    assert error.value.code == "jail_unavailable"
