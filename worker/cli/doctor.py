"""`mayfly doctor`: every dependency looked at, and strip and deletion proven live on the configured storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import typer

from storage_backends import contract
from worker.cli import demo_media, views
from worker.cli.erase import erase_subject
from worker.cli.house import at_work, wait_until
from worker.cli.terminal import DONE, REFUSED, Terminal
from worker.errors import MayflyError, Refused, Unavailable
from worker.ledger import artifacts, uploads
from worker.media.jail import Limits
from worker.model import ArtifactState, NewUpload, Purpose, new_id
from worker.privacy.subject import subject_key
from worker.wiring import MEDIA, House

APP = "doctor"
SKEW_MOST = timedelta(seconds=5)


@dataclass(frozen=True, kw_only=True)
class Check:
    name: str
    ok: bool
    detail: str


def doctor(ctx: typer.Context) -> int:
    """Check everything that Mayfly depends on, and prove strip and deletion with a real photo."""
    terminal: Terminal = ctx.obj
    checks: list[Check] = []
    with at_work() as house:
        for name, look in CHECKS.items():
            checks += [_checked(name, look, house)]
        checks += _storage(house)
    if terminal.json:
        terminal.document(
            {
                "ok": all(c.ok for c in checks),
                "checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in checks],
            }
        )
    else:
        for check in checks:
            mark = "[green]ok[/green]  " if check.ok else "[red]FAIL[/red]"
            terminal.out.print(f"{mark} {check.name}: ", end="")
            terminal.out.print(check.detail, markup=False, soft_wrap=True)
    return DONE if all(check.ok for check in checks) else REFUSED


def _checked(name: str, look: Callable[[House], str], house: House) -> Check:
    try:
        return Check(name=name, ok=True, detail=look(house))
    except MayflyError as error:
        return Check(name=name, ok=False, detail=f"{error} [{error.code}]")


def _jail(house: House) -> str:
    results = house.jail.self_test()
    if open_ways := [result.name for result in results if not result.blocked]:
        raise Unavailable(f"not blocked: {', '.join(open_ways)}", code="jail_unavailable")
    return f"{house.jail.level.name}, {len(results)} escape probes blocked"


def _ffmpeg(house: House) -> str:
    limits = Limits(address_space=1 << 30, cpu_s=10, wall_s=10.0, open_files=64, threads=True)
    version = house.jail.run(["ffmpeg", "-version"], read=[], write=None, limits=limits).stdout.decode(
        "ascii", "replace"
    )
    protocols = house.jail.run(
        ["ffmpeg", "-v", "error", "-protocols"], read=[], write=None, limits=limits
    ).stdout.split()
    network = sorted({word.decode() for word in protocols} & {"http", "https", "tcp", "udp", "rtmp"})
    encoders = house.jail.run(["ffmpeg", "-v", "error", "-encoders"], read=[], write=None, limits=limits).stdout
    if b"libx264" not in encoders:
        raise Unavailable("this ffmpeg has no libx264; install a build that has", code="ffmpeg_incomplete")
    carried = "with network protocols, which the jail keeps from it" if network else "without network protocols"
    return f"{version.split()[2] if len(version.split()) > 2 else 'unknown'}, {carried}"


def _ledger(house: House) -> str:
    from datetime import UTC, datetime

    with house.ledger.read() as tx:
        skew = abs(tx.now - datetime.now(UTC))
        overdue = artifacts.oldest_overdue_seconds(tx)
    if skew > SKEW_MOST:
        raise Unavailable(
            f"its clock and this host's differ by {skew.total_seconds():.0f} s; set the clocks", code="clock_skew"
        )
    return f"{house.ledger.dialect}, clock within {skew.total_seconds():.1f} s, oldest overdue {overdue} s"


def _broker(house: House) -> str:
    if house.settings.broker_url is None:
        return "none: embedded"
    import redis

    url = house.settings.broker_url.get_secret_value()
    if urlsplit(url).scheme not in ("redis", "rediss"):
        raise Unavailable("the broker must be redis:// or rediss://", code="broker_unreachable")
    try:
        client = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
        client.ping()
        memory, persistence = client.info("memory"), client.info("persistence")
        client.close()
    except (redis.RedisError, OSError):
        raise Unavailable("Redis does not answer; check MAYFLY_BROKER_URL", code="broker_unreachable") from None
    if memory.get("maxmemory_policy") != "noeviction":
        raise Unavailable("Redis evicts keys; set maxmemory-policy noeviction", code="broker_evicts")
    return "Redis answers, noeviction, " + (
        "AOF on" if persistence.get("aof_enabled") else "AOF off (slower after a crash)"
    )


def _strip_and_erase(house: House) -> str:
    """A photo with a position goes in; what comes out was proven clean; then it is erased and looked for."""
    person = new_id("upl")
    new = NewUpload(app=APP, subject_key=subject_key(house.subject_secret, APP, person), purposes=frozenset(Purpose))
    photo = house.receive.run(new, [demo_media.photo()], keep_for=timedelta(hours=1))

    def ended() -> bool:
        with house.ledger.read() as tx:
            return uploads.get(tx, photo.id).state in views.ENDED

    wait_until(ended, seconds=60.0)
    document = views.upload_document(house, photo.id)
    erased = erase_subject(house, APP, person)
    with house.ledger.read() as tx:
        left = [copy for copy in artifacts.of_upload(tx, photo.id) if copy.state is not ArtifactState.GONE]
    if document["state"] != "ready" or "location" not in document["removed"]:
        raise Refused(f"the live strip failed: {document.get('code', document['state'])}", code="strip_failed")
    if left or erased["state"] != "completed":
        raise Refused(f"{len(left)} copies are not gone", code="erase_failed")
    return f"{len(document['removed'])} kinds removed, {erased['artifacts']} copies erased and looked for"


def _storage(house: House) -> Iterator[Check]:
    """The backend's own contract, run on the live location under a scratch prefix."""
    failures = [o for o in contract.run(house.shelf.locations[MEDIA], prefix_app=APP) if not o.passed]
    if not failures:
        yield Check(name="storage", ok=True, detail=f"{len(contract.CHECKS)} contract checks pass on the live location")
    for failure in failures:
        yield Check(name=f"storage {failure.name}", ok=False, detail=failure.detail)


CHECKS: dict[str, Callable[[House], str]] = {
    "jail": _jail,
    "ffmpeg": _ffmpeg,
    "ledger": _ledger,
    "broker": _broker,
    "strip and erase": _strip_and_erase,
}
