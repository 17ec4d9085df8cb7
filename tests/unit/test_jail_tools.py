"""Tools in the jail: ffmpeg works there, and a tool taken over reaches nothing but its input and its scratch."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes import MIB, PYTHON, TOOL, children_of, zygote
from worker.errors import Defect, Unavailable
from worker.media.jail import Cancelled, Finished, Jail, JailDeath, Limits

pytestmark = pytest.mark.slow

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


@pytest.fixture(scope="module")
def jail() -> Iterator[Jail]:
    made = Jail(tools={"python": PYTHON})
    made.start()
    yield made
    made.close()


def python(
    jail: Jail,
    room: Path,
    body: str,
    limits: Limits = TOOL,
    *,
    on_line: Callable[[str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Finished:
    """Run Python as the tool: a program that does whatever `body` says."""
    script = room / "script.py"
    script.write_text(textwrap.dedent(body))
    scratch = room / "scratch"
    scratch.mkdir(exist_ok=True)
    return jail.run(
        ["python", "-I", "-S", str(script)],
        read=[script],
        write=scratch,
        limits=limits,
        on_line=on_line,
        cancelled=cancelled,
    )


def test_a_tool_starts_threads_and_writes_in_its_scratch_alone(jail: Jail, tmp_path: Path) -> None:
    done = python(
        jail,
        tmp_path,
        """
        import os, threading
        seen = []
        t = threading.Thread(target=lambda: seen.append(1)); t.start(); t.join()
        open("made", "w").write("here"); os.rename("made", "kept")
        print(seen, dict(os.environ), open("/dev/null", "w").write("x"))
        """,
    )

    assert (done.status, done.signal, done.stderr) == (0, None, b"")
    assert re.match(rb"\[1\] \{('LC_CTYPE': '[\w.-]+')?\} 1\n", done.stdout)
    assert (tmp_path / "scratch" / "kept").read_text() == "here"
    assert (tmp_path / "scratch" / "kept").stat().st_mode & 0o077 == 0
    assert done.peak_rss > MIB
    assert done.wall_s > 0


@pytest.mark.parametrize(
    "attempt",
    [
        "open('{secret}').read()",
        "open('{room}/new', 'w')",
        "os.listdir('{room}')",
        "os.truncate('{secret}', 0)",
        "os.chmod('{secret}', 0o777)",
        "os.utime('{secret}')",
        "os.link('{secret}', 'stolen')",
        "os.symlink('{secret}', 'stolen')",
        "os.unlink('{secret}')",
        "os.rename('{secret}', 'stolen')",
        "os.mkdir('sub')",
        "open('/proc/{worker}/environ').read()",
        "open('/etc/passwd').read()",
        "socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
        "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_UNIX)",
        "socket.socketpair()",
        "os.fork()",
        "os.posix_spawn('/bin/true', ['true'], {{}})",
        "os.execv('/bin/sh', ['sh'])",
        "os.kill(os.getppid(), 0)",
        "os.kill({worker}, 0)",
        "os.kill(-1, 0)",
        "os.memfd_create('x')",
        "os.pidfd_open({worker})",
        "os.setpriority(os.PRIO_PROCESS, {worker}, 19)",
        "resource.prlimit({worker}, resource.RLIMIT_NOFILE, (8, 8))",
        "resource.setrlimit(resource.RLIMIT_CPU, (1000, 1000))",
    ],
)
def test_a_tool_can_reach_nothing_else(jail: Jail, tmp_path: Path, attempt: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary-7731")
    body = attempt.format(secret=secret, room=tmp_path, worker=os.getpid())

    done = python(
        jail, tmp_path, f"import os, resource, socket\ntry:\n {body}\nexcept (OSError, ValueError):\n print('refused')"
    )

    assert done.stdout == b"refused\n", done.stderr
    assert secret.read_text() == "canary-7731"


def test_a_tool_that_hangs_or_ignores_signals_dies_at_the_deadline(jail: Jail, tmp_path: Path) -> None:
    start = time.monotonic()
    body = """
        import os, signal, time
        for number in range(1, 32):
            if number not in (9, 19):
                signal.signal(number, signal.SIG_IGN)
        os.setpgid(0, 0) if os.getpid() != os.getpgid(0) else None
        while True:
            time.sleep(60)
    """

    with pytest.raises(JailDeath) as death:
        python(jail, tmp_path, body, Limits(address_space=1024 * MIB, cpu_s=5, wall_s=1.5, open_files=64))

    assert death.value.code == "decoder_timeout"
    assert time.monotonic() - start < 30  # by itself it would sleep for ever
    assert children_of(zygote(jail)) == set()


def test_a_tools_processor_time_is_counted_from_before_its_exec(jail: Jail, tmp_path: Path) -> None:
    with pytest.raises(JailDeath) as death:
        python(
            jail, tmp_path, "while True: pass", Limits(address_space=1024 * MIB, cpu_s=0.3, wall_s=20, open_files=64)
        )

    assert (death.value.code, death.value.signal) == ("decoder_timeout", signal.SIGPROF)


def test_a_tool_that_floods_is_bounded(jail: Jail, tmp_path: Path) -> None:
    flood = "import sys\nfor n in range(100_000):\n sys.stderr.write('x' * 100 + '%d\\n' % n)"
    done = python(jail, tmp_path, flood)
    assert done.status == 0
    assert len(done.stderr) == 64 * 1024
    assert done.stderr.endswith(b"99999\n")

    with pytest.raises(JailDeath) as death:
        python(jail, tmp_path, "while True: print('x' * 1000)")
    assert death.value.code == "decoder_protocol_error"

    with pytest.raises(JailDeath) as death:
        python(jail, tmp_path, "while True: print('x' * 1000, end='')", on_line=lambda _: None)
    assert death.value.code == "decoder_protocol_error"
    assert children_of(zygote(jail)) == set()


def test_a_file_over_the_limit_kills_the_tool(jail: Jail, tmp_path: Path) -> None:
    little = Limits(address_space=1024 * MIB, cpu_s=5, wall_s=10, file_size=MIB, open_files=64)
    body = "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_DFL)\nopen('big', 'wb').write(bytes(2 << 20))"

    with pytest.raises(JailDeath) as death:
        python(jail, tmp_path, body, little)

    assert (death.value.code, death.value.signal) == ("decoder_crash", 25)
    assert (tmp_path / "scratch" / "big").stat().st_size <= MIB


def test_lines_come_one_by_one_and_a_status_is_returned(jail: Jail, tmp_path: Path) -> None:
    lines: list[str] = []

    done = python(
        jail, tmp_path, "print('a=1'); print('ünï'); print('end', end=''); raise SystemExit(3)", on_line=lines.append
    )

    assert lines == ["a=1", "ünï", "end"]
    assert (done.status, done.stdout) == (3, b"")


def test_cancelling_and_a_listener_that_raises_both_end_the_tool(jail: Jail, tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(Cancelled):
        python(jail, tmp_path, "import time; time.sleep(60)", cancelled=lambda: time.monotonic() > start + 0.3)
    assert time.monotonic() - start < 30
    assert children_of(zygote(jail)) == set()

    def listen(line: str) -> None:
        raise KeyError(line)

    with pytest.raises(KeyError):
        python(jail, tmp_path, "import time; print('x', flush=True); time.sleep(60)", on_line=listen)
    assert children_of(zygote(jail)) == set()


def test_a_missing_tool_and_a_symlink_are_refused(jail: Jail, tmp_path: Path) -> None:
    bare = Jail("degraded", tools={"ffmpeg": tmp_path / "none", "ffprobe": tmp_path / "none"})
    with pytest.raises(Unavailable) as missing:
        bare.run(["ffmpeg"], read=[], write=None, limits=TOOL)
    assert missing.value.code == "ffmpeg_missing"

    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(Defect):
        jail.run(["python"], read=[tmp_path / "link"], write=None, limits=TOOL)


@needs_ffmpeg
def test_ffmpeg_encodes_and_ffprobe_reads_inside(jail: Jail, tmp_path: Path) -> None:
    made = tmp_path / "out.mp4"
    lines: list[str] = []
    argv = "ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=320x240:d=1 -c:v libx264 -threads 2 -movflags +faststart"

    done = jail.run(
        [*argv.split(), "-progress", "pipe:1", f"file:{made}"],
        read=[],
        write=tmp_path,
        limits=TOOL,
        on_line=lines.append,
    )
    probe = jail.run(
        ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width", "-of", "csv=p=0", f"file:{made}"],
        read=[made],
        write=None,
        limits=TOOL,
    )

    assert (done.status, done.stderr) == (0, b"")
    assert "progress=end" in lines
    assert probe.stdout == b"h264,320\n"


@needs_ffmpeg
@pytest.mark.parametrize(
    ("options", "script"),
    [
        ("-safe 0 -protocol_whitelist file -f concat", "ffconcat version 1.0\nfile '{other}'\n"),
        (
            "-protocol_whitelist file -allowed_extensions ALL -f hls",
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:{other}\n#EXT-X-ENDLIST\n",
        ),
    ],
    ids=["ffconcat", "hls"],
)
def test_a_playlist_dressed_as_video_steals_nothing(jail: Jail, tmp_path: Path, options: str, script: str) -> None:
    other, evil, out = tmp_path / "other.ts", tmp_path / "upload.mp4", tmp_path / "scratch"
    out.mkdir()
    make = "ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=64x64:d=1 -c:v libx264 -f mpegts -y"
    subprocess.run([*make.split(), str(other)], check=True, timeout=60)
    evil.write_text(script.format(other=other))
    argv = [*f"ffmpeg -nostdin -v error {options} -i".split(), f"file:{evil}", "-c", "copy", "-f", "mpegts"]
    plain = subprocess.run([*argv, "-y", str(tmp_path / "plain")], timeout=60)
    assert plain.returncode == 0, "without the jail the neighbour's video is stolen"

    done = jail.run([*argv, f"file:{out / 'stolen'}"], read=[evil], write=out, limits=TOOL)

    assert done.status != 0
    assert not (out / "stolen").exists() or (out / "stolen").stat().st_size == 0
