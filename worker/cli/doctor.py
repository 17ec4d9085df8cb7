"""`mayfly doctor`: every dependency looked at, and strip and deletion proven live on the configured storage.

One thing that is missing hides no other: each check stands alone, and what cannot be tried says why.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import typer
from rich.text import Text

from storage_backends import cdn, contract
from storage_backends.errors import StorageError
from storage_backends.storage import Storage
from worker.cli import broker, demo_media, views
from worker.cli.erase import erase_subject
from worker.cli.house import opened, wait_until, working
from worker.cli.terminal import DONE, NARROW, REFUSED, Terminal, counted
from worker.errors import MayflyError, Refused, Unavailable
from worker.ledger import artifacts, uploads
from worker.media import proving
from worker.media.jail import Jail, Limits
from worker.model import ArtifactState, NewUpload, Purpose, new_id
from worker.privacy.subject import subject_key
from worker.settings import Settings
from worker.wiring import House

APP = "doctor"
SKEW_MOST = timedelta(seconds=5)
_LIVE_S = 60.0
# Files listed by the contract where a listing has no pages.
_FEW = 100


@dataclass(frozen=True, kw_only=True)
class Check:
    """`code` is None where all is well."""

    name: str
    detail: str
    code: str | None = None

    @property
    def ok(self) -> bool:
        return self.code is None


def doctor(ctx: typer.Context) -> int:
    """Check everything that Mayfly depends on, and prove strip and deletion with a real photo."""
    terminal: Terminal = ctx.obj
    settings = Settings.load()
    checks: list[Check] = []
    for check in _checks(settings):
        checks.append(check)
        if not terminal.json:
            _print(terminal, check)
    failed = [check for check in checks if not check.ok]
    if terminal.json:
        document: dict[str, Any] = {"ok": not failed}
        document["checks"] = [{"name": c.name, "ok": c.ok, "code": c.code, "detail": c.detail} for c in checks]
        terminal.document(document)
    if failed:
        # One line that says enough for a log; the list above has them all.
        first = failed[0]
        more = f" ({len(failed)} of {counted(len(checks), 'check')} failed)"
        terminal.complain(f"{first.name}: {first.detail}{more}", str(first.code))
    return REFUSED if failed else DONE


def _print(terminal: Terminal, check: Check) -> None:
    mark = Text("ok  ", style="green") if check.ok else Text("FAIL", style="bold red")
    narrow = terminal.out.width < NARROW
    head = Text.assemble(mark, f" {check.name:<{0 if narrow else 15}}")
    if narrow:
        terminal.out.print(head)
        terminal.out.print(f"     {check.detail}", markup=False, soft_wrap=True)
    else:
        terminal.out.print(head.append(f"  {check.detail}"), soft_wrap=True)


def _checks(settings: Settings) -> Iterator[Check]:
    jail = Jail(mode="degraded")
    with contextlib.closing(jail):
        yield (walls := _checked("jail", lambda: _jail(jail, settings)))
        yield _checked("ffmpeg", lambda: _ffmpeg(jail))
        yield (reader := _checked("second reader", lambda: proving.look(jail)))
    yield (bell := _checked("broker", lambda: broker.look(settings)))
    try:
        with opened(settings=settings, gated=False) as house:
            yield _checked("ledger", lambda: _ledger(house))
            yield (journal := _checked("journal", lambda: _journal(house)))
            yield from _storage(house)
            needed = [walls, reader, bell, journal]
            if (edge := house.shelf.cdn) is not None:
                needed.append(_checked("cdn", partial(look_at_cdn, edge)))
                yield needed[-1]
            missing = next((check for check in needed if not check.ok), None)
            if missing:
                yield _untried(missing.name)
            else:
                yield _checked("strip and erase", lambda: _strip_and_erase(house))
    except MayflyError as error:
        # What kept the house from being built: its home, its keys or its ledger.
        yield Check(name="home and ledger", detail=str(error), code=error.code)
        yield _untried("home and ledger")


def _journal(house: House) -> str:
    house.gate.check()
    end = house.restoring.journal.end()
    return f"whole, {counted(end.seq, 'erasure')}; the ledger knows them" if end else "nothing was erased yet"


def _untried(missing: str) -> Check:
    return Check(name="strip and erase", detail=f"not tried: see {missing}", code="not_tried")


def _checked(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name=name, detail=look())
    except MayflyError as error:
        return Check(name=name, detail=str(error), code=error.code)


def _jail(jail: Jail, settings: Settings) -> str:
    results = jail.self_test()
    if open_ways := [result.name for result in results if not result.blocked]:
        raise Unavailable(f"not blocked: {', '.join(open_ways)}", code="jail_unavailable")
    if settings.jail != "required":
        raise Unavailable("it holds, but is not required: set MAYFLY_JAIL=required", code="jail_degraded")
    return f"{jail.level.name}, {len(results)} escape probes blocked"


def _ffmpeg(jail: Jail) -> str:
    limits = Limits(address_space=1 << 30, cpu_s=10, wall_s=10.0, open_files=64, threads=True)

    def said(*words: str) -> list[str]:
        argv = ["ffmpeg", *words]
        return jail.run(argv, read=[], write=None, limits=limits).stdout.decode("ascii", "replace").split()

    version = said("-version")
    if "libx264" not in said("-v", "error", "-encoders"):
        raise Unavailable("this ffmpeg has no libx264; install a build that has", code="ffmpeg_incomplete")
    network = {"http", "https", "tcp", "udp", "rtmp"} & set(said("-v", "error", "-protocols"))
    carried = "with network protocols, which the jail keeps from it" if network else "without network protocols"
    return f"{version[2] if len(version) > 2 else 'unknown'}, {carried}"


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


def _strip_and_erase(house: House) -> str:
    """A photo with a position goes in; what comes out was proven clean; then it is erased and looked for."""
    person = new_id("upl")
    new = NewUpload(app=APP, subject_key=subject_key(house.subject_secret, APP, person), purposes=frozenset(Purpose))
    with working(house):
        photo = house.receive.run(new, [demo_media.photo()], keep_for=timedelta(hours=1))

        def ended() -> bool:
            with house.ledger.read() as tx:
                return uploads.get(tx, photo.id).state in views.ENDED

        wait_until(ended, seconds=_LIVE_S)
        document = views.upload_document(house, photo.id)
        erased = erase_subject(house, APP, person)
    with house.ledger.read() as tx:
        left = [copy for copy in artifacts.of_upload(tx, photo.id) if copy.state is not ArtifactState.GONE]
    if document["state"] != "ready" or "location" not in document["removed"]:
        raise Refused(f"the live strip failed: {document.get('code', document['state'])}", code="strip_failed")
    if left or erased["state"] != "completed":
        raise Refused(f"{counted(len(left), 'copy', 'copies')} not gone", code="erase_failed")
    return f"{len(document['removed'])} kinds removed, {erased['artifacts']} copies erased and looked for"


def _abilities(location: Storage) -> str:
    """What the place was seen to do. A place that keeps old versions and lets nobody delete them can erase nothing."""
    try:
        found = location.capabilities()
    except StorageError as error:
        raise Unavailable(str(error), code=error.code) from None
    if found.versioning and not found.version_deletes:
        raise Refused(
            "it keeps old versions, and these keys may not delete them: allow s3:DeleteObjectVersion, or nothing is "
            "ever erased",
            code="versions_stay",
        )
    able = [field.replace("_", " ") for field, value in asdict(found).items() if value is True]
    return f"{location.name}: {', '.join(able) or 'plain'}"


def look_at_cdn(edge: cdn.Cdn) -> str:
    """The CDN takes purges, and says of what never was that it is not there: else nothing there can be seen gone."""
    try:
        purged, seen = edge.rehearse()
    except StorageError as error:
        raise Unavailable(str(error), code=error.code) from None
    if cdn.busy(purged) or cdn.refused(purged):
        raise Refused(f"it answers {purged} to a purge; check method, address and headers of it", code="purge_refused")
    if not cdn.tells_absence(seen):
        raise Refused(
            f"it answers {seen} for what never was, so nobody can see there that a copy is gone; make it answer 404",
            code="cdn_blind",
        )
    return f"takes purges, and answers {seen} for what never was"


def _storage(house: House) -> Iterator[Check]:
    """The backend's own contract, run on the live location under a scratch prefix."""
    location = house.shelf.locations[house.shelf.media]
    yield (abilities := _checked("abilities", lambda: _abilities(location)))
    if not abilities.ok:
        yield Check(name="storage", detail="not tried: see abilities", code="not_tried")
        return
    listed = _FEW if location.capabilities().local_paths else contract.LISTED
    failures = [o for o in contract.run(location, prefix_app=APP, listed=listed) if not o.passed]
    if not failures:
        yield Check(name="storage", detail=f"{len(contract.CHECKS)} contract checks pass on the live location")
    for failure in failures:
        yield Check(name=f"storage {failure.name}", detail=failure.detail, code="storage_broken")
