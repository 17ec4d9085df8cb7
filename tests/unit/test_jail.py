"""The jail's calls: the parent survives any child, and the zygote any life."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import misbehave
from tests.processes import MIB, SMALL, children_of, eventually, zygote
from worker.errors import Defect, Unprocessable
from worker.media.jail import Answer, Jail, JailDeath, Limits
from worker.media.jail.probes import sample

pytestmark = pytest.mark.slow

QUICK = Limits(address_space=1024 * MIB, cpu_s=1, wall_s=1.0)


@pytest.fixture(scope="module")
def jail() -> Iterator[Jail]:
    made = Jail(extra_verbs=misbehave.VERBS)
    made.start()
    yield made
    made.close()


def on_file(jail: Jail, path: Path, verb: str, limits: Limits = SMALL, **args: object) -> Answer:
    fd = os.open(path, os.O_RDONLY)
    try:
        return jail.call(verb, fd, args, limits)
    finally:
        os.close(fd)


# --- calls ---------------------------------------------------------------------------------------------------------


def test_a_verb_gets_the_file_and_its_answer_comes_back(jail: Jail, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"0123456789" * 100_000)

    answer = on_file(jail, tmp_path / "in", "misbehave.echo", colour="blue")

    assert answer.header == {"args": {"colour": "blue"}, "bytes": 1_000_000}
    assert answer.blobs == [b"0123456789" * 100_000]
    assert answer.peak_rss > MIB
    assert 0 < answer.cpu_s < 5


def test_a_large_answer_crosses_whole_and_is_bounded_by_the_caller(jail: Jail) -> None:
    answer = jail.call("misbehave.big_answer", None, {"bytes": 40 * MIB}, SMALL)
    assert answer.blobs[0] == b"\x5a" * (40 * MIB)

    with pytest.raises(JailDeath) as death:
        jail.call("misbehave.big_answer", None, {"bytes": 2 * MIB}, SMALL, max_answer=MIB)
    assert death.value.code == "decoder_protocol_error"


@pytest.mark.parametrize(
    ("verb", "code"),
    [
        ("magic", "decoder_protocol_error"),
        ("size", "decoder_protocol_error"),
        ("count", "decoder_protocol_error"),
        ("header_size", "decoder_protocol_error"),
        ("short", "decoder_protocol_error"),
        ("extra", "decoder_protocol_error"),
        ("endless", "decoder_protocol_error"),
        ("silent", "decoder_protocol_error"),
        ("not_json", "decoder_protocol_error"),
        ("not_an_object", "decoder_protocol_error"),
        ("deep_json", "decoder_protocol_error"),
        ("unknown_kind", "decoder_protocol_error"),
        ("unknown_code", "decoder_protocol_error"),
        ("quote", "decoder_crash"),
        ("status", "decoder_crash"),
        ("fork", "decoder_crash"),
        ("crash", "decoder_crash"),
        ("abort", "decoder_crash"),
        ("start_thread", "decoder_crash"),
        ("late_import", "decoder_crash"),
        ("memory", "decoder_memory"),
        ("hang", "decoder_timeout"),
        ("answer_then_hang", "decoder_timeout"),
        ("spin", "decoder_timeout"),
    ],
)
def test_every_misbehaviour_has_its_code_in_time_and_leaves_nothing(jail: Jail, verb: str, code: str) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    limits = QUICK if code == "decoder_timeout" else SMALL
    start = time.monotonic()

    with pytest.raises(JailDeath) as death:
        jail.call(f"misbehave.{verb}", None, {}, limits)

    assert death.value.code == code
    assert time.monotonic() - start < limits.wall_s + 10.0  # none of these would ever end by itself
    assert children_of(zygote(jail)) == set()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert jail.call("misbehave.echo", None, {}, SMALL).header["bytes"] == 0


@pytest.mark.parametrize(
    ("deaf", "end"),
    [((), signal.SIGPROF), ((signal.SIGPROF,), signal.SIGXCPU), ((signal.SIGPROF, signal.SIGXCPU), signal.SIGKILL)],
)
def test_a_child_deaf_to_one_end_of_its_time_meets_the_next(
    jail: Jail, deaf: tuple[signal.Signals, ...], end: signal.Signals
) -> None:
    limits = Limits(address_space=1024 * MIB, cpu_s=0.1, wall_s=20, threads=True)

    with pytest.raises(JailDeath) as death:
        jail.call("misbehave.spin_deaf", None, {"deaf": list(deaf)}, limits)

    assert (death.value.code, death.value.signal) == ("decoder_timeout", end)
    assert death.value.cpu_s < 3.5


def test_nobody_inside_sets_the_timer_anew(jail: Jail) -> None:
    with pytest.raises(JailDeath) as death:
        jail.call("misbehave.spin_on_a_new_timer", None, {}, SMALL)

    assert (death.value.code, death.value.where) == ("decoder_crash", "OSError")


def test_the_verbs_own_refusal_comes_with_our_line_not_the_childs(jail: Jail) -> None:
    with pytest.raises(Unprocessable) as refusal:
        jail.call("misbehave.refuse", None, {"code": "truncated"}, SMALL)

    assert refusal.value.code == "truncated"
    assert not isinstance(refusal.value, JailDeath)
    assert "canary" not in str(refusal.value)


def test_the_text_of_an_exception_stays_inside(jail: Jail) -> None:
    with pytest.raises(JailDeath) as death:
        jail.call("misbehave.quote", None, {}, SMALL)

    assert death.value.where == "ValueError"
    assert "canary" not in repr(vars(death.value)) + str(death.value) + repr(death.value.__cause__)


def test_a_flood_on_the_standard_streams_harms_nobody(jail: Jail) -> None:
    assert jail.call("misbehave.flood_stderr", None, {}, SMALL).header == {"flooded": True}


def test_a_writable_descriptor_and_an_unknown_verb_are_our_defect(jail: Jail, tmp_path: Path) -> None:
    fd = os.open(tmp_path / "in", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with pytest.raises(Defect):
            jail.call("misbehave.echo", fd, {}, SMALL)
    finally:
        os.close(fd)
    with pytest.raises(Defect):
        jail.call("misbehave.no_such", None, {}, SMALL)


def test_a_verb_whose_module_does_not_import_says_so_and_the_others_work() -> None:
    jail = Jail("degraded", extra_verbs={"gone": "tests.no_such_module:f", **misbehave.VERBS})
    try:
        with pytest.raises(Defect, match="gone: ModuleNotFoundError"):
            jail.call("gone", None, {}, SMALL)
        assert jail.call("misbehave.echo", None, {}, SMALL).header["bytes"] == 0
    finally:
        jail.close()


def test_four_threads_at_once_each_get_their_own_answer(jail: Jail) -> None:
    wrong: list[object] = []

    def work(mine: int) -> None:
        for turn in range(25):
            answer = jail.call("misbehave.echo", None, {"mine": mine, "turn": turn}, SMALL)
            if answer.header["args"] != {"mine": mine, "turn": turn}:
                wrong.append(answer.header)
            with pytest.raises(JailDeath):
                jail.call("misbehave.crash", None, {}, SMALL)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert wrong == []
    assert not any(thread.is_alive() for thread in threads)


def test_a_hanging_child_does_not_delay_the_others(jail: Jail) -> None:
    codes: list[str] = []

    def hang() -> None:
        with pytest.raises(JailDeath) as death:
            jail.call("misbehave.hang", None, {}, Limits(address_space=1024 * MIB, cpu_s=1, wall_s=2))
        codes.append(death.value.code)

    thread = threading.Thread(target=hang)
    thread.start()
    assert eventually(lambda: len(children_of(zygote(jail))) == 1)
    jail.call("misbehave.echo", None, {}, SMALL)

    assert thread.is_alive(), "the answer came only after the one that hung"
    thread.join(10)
    assert codes == ["decoder_timeout"]


@pytest.mark.parametrize("name", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_the_narrow_list_decodes_and_encodes(jail: Jail, tmp_path: Path, name: str) -> None:
    path = tmp_path / "picture"
    _picture(path, name)

    answer = on_file(jail, path, "misbehave.decode_as", format=name, frames=2 if name in ("GIF", "WEBP") else 1)

    assert answer.header["size"] == [300, 200]
    assert [blob[:3] for blob in answer.blobs] == [b"RIF", b"\xff\xd8\xff"]


@pytest.mark.parametrize("name", ["AVIF", "HEIF"])
def test_the_thread_list_decodes_avif_and_heif(jail: Jail, tmp_path: Path, name: str) -> None:
    path = tmp_path / "picture"
    _picture(path, name)
    threaded = Limits(address_space=1024 * MIB, cpu_s=10, wall_s=20, threads=True)

    answer = on_file(jail, path, "misbehave.decode_as", threaded, format=name)

    assert answer.header["size"] == [300, 200]
    assert jail.call("misbehave.start_thread", None, {}, threaded).header["seen"] == [7]


def _picture(path: Path, name: str) -> None:
    script = (
        "import sys; from PIL import Image; import pillow_heif; pillow_heif.register_heif_opener();"
        "a = Image.effect_mandelbrot((300, 200), (-2, -1, 1, 1), 50).convert('RGB');"
        "many = sys.argv[2] in ('GIF', 'WEBP');"
        "a.save(sys.argv[1], sys.argv[2], **({'save_all': True, 'append_images': [a.rotate(90)]} if many else {}))"
    )
    subprocess.run([sys.executable, "-c", script, str(path), name], check=True, timeout=60)


# --- life of the zygote --------------------------------------------------------------------------------------------


def test_the_zygote_is_renewed_after_its_files_while_one_is_still_in_flight() -> None:
    jail = Jail("degraded", extra_verbs=misbehave.VERBS, renew_after=30)
    try:
        jail.start()
        while jail._host is not None and jail._host.started < 28:
            jail.call("misbehave.echo", None, {}, SMALL)
        first = zygote(jail)
        codes: list[str] = []

        def hang() -> None:
            with pytest.raises(JailDeath) as death:
                jail.call("misbehave.hang", None, {}, Limits(address_space=1024 * MIB, cpu_s=1, wall_s=4))
            codes.append(death.value.code)

        thread = threading.Thread(target=hang)
        thread.start()
        assert eventually(lambda: len(children_of(first)) == 1)
        for _ in range(4):
            jail.call("misbehave.echo", None, {}, SMALL)

        assert zygote(jail) != first
        thread.join(20)
        assert codes == ["decoder_timeout"]
        assert eventually(lambda: not Path(f"/proc/{first}").exists())
    finally:
        jail.close()


def test_a_dead_zygote_costs_the_call_in_flight_and_nothing_more() -> None:
    jail = Jail("degraded", extra_verbs=misbehave.VERBS)
    codes: list[str] = []
    try:
        jail.start()
        first = zygote(jail)

        def hang() -> None:
            with pytest.raises(JailDeath) as death:
                jail.call("misbehave.hang", None, {}, SMALL)
            codes.append(death.value.code)

        thread = threading.Thread(target=hang)
        thread.start()
        assert eventually(lambda: len(children_of(first)) == 1)
        (child,) = children_of(first)
        os.kill(first, 9)
        thread.join(5)

        assert codes == ["decoder_crash"]
        assert jail.call("misbehave.echo", None, {}, SMALL).header["bytes"] == 0
        assert zygote(jail) != first
        assert eventually(lambda: not Path(f"/proc/{child}").exists())

        os.kill(zygote(jail), 9)  # while idle: nobody notices
        os.waitid(os.P_PID, zygote(jail), os.WEXITED | os.WNOWAIT)
        assert jail.call("misbehave.echo", None, {}, SMALL).header["bytes"] == 0
    finally:
        jail.close()


def test_a_stuck_zygote_is_killed_and_replaced() -> None:
    jail = Jail("degraded", extra_verbs=misbehave.VERBS)
    try:
        jail.start()
        first = zygote(jail)
        os.kill(first, 19)  # SIGSTOP

        with pytest.raises(JailDeath) as death:
            jail.call("misbehave.echo", None, {}, Limits(address_space=1024 * MIB, cpu_s=1, wall_s=0.2))

        assert death.value.code == "decoder_timeout"
        assert jail.call("misbehave.echo", None, {}, SMALL).header["bytes"] == 0
        assert zygote(jail) != first
    finally:
        jail.close()


def test_close_ends_everything_and_the_next_call_starts_anew(jail: Jail) -> None:
    other = Jail("degraded", extra_verbs=misbehave.VERBS)
    other.call("misbehave.echo", None, {}, SMALL)
    first = zygote(other)

    other.close()

    assert not Path(f"/proc/{first}").exists()
    assert other.call("misbehave.echo", None, {}, SMALL).header["bytes"] == 0
    other.close()


def test_a_fork_of_the_worker_gets_a_zygote_of_its_own(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import os, sys
        from tests import misbehave
        from worker.media.jail import Jail, Limits
        limits = Limits(address_space=1 << 30, cpu_s=2, wall_s=5)
        jail = Jail("degraded", extra_verbs=misbehave.VERBS)
        jail.call("misbehave.echo", None, {}, limits)
        mine = jail._host.pid
        pid = os.fork()
        jail.call("misbehave.echo", None, {}, limits)
        if pid == 0:
            os._exit(0 if jail._host.pid != mine else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert jail._host.pid == mine
        jail.close()
    """)
    done = subprocess.run([sys.executable, "-c", script], timeout=60, cwd=_root(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _root() -> Path:
    return Path(__file__).resolve().parents[2]


def test_the_sample_is_a_picture_and_was_made_without_a_decoder(tmp_path: Path, jail: Jail) -> None:
    (tmp_path / "in.png").write_bytes(sample())
    assert on_file(jail, tmp_path / "in.png", "misbehave.decode_as", format="PNG").header["size"] == [32, 24]
