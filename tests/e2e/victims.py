"""A fleet whose workers die by plan and are started again, and what must be true of everything in the end."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select, text, update

from tests import samples
from tests.e2e.fleet import Fleet
from tests.houses import new_upload
from worker.ledger import tables
from worker.model import ArtifactKind, ArtifactState, UploadState, WorkClass

THREE = Counter({"display": 1, "thumb": 1, "share": 1})


@dataclass
class Victims:
    """Workers by plan. `fates` maps `kind:target` to a step and a deed; set it before the worker meets the job."""

    fleet: Fleet
    fates: dict[str, dict[str, object]] = field(default_factory=dict)

    @property
    def plan(self) -> Path:
        return self.fleet.folder / "plan.json"

    def doom(self, kind: str, target: str, *, step: str, deed: str, times: int = 1) -> None:
        self.fates[f"{kind}:{target}"] = {"step": step, "deed": deed, "times": times}
        beside = self.plan.with_suffix(".new")
        beside.write_text(json.dumps(self.fates))
        beside.rename(self.plan)

    def begin(self, name: str, work_class: WorkClass, concurrency: int = 1) -> None:
        if not self.plan.exists():
            self.plan.write_text("{}")
        argv = ["-m", "tests.e2e.victim", work_class.value, str(concurrency), str(self.plan)]
        self.fleet.start(name, argv)

    def starts(self) -> int:
        """How often any worker was started."""
        return sum(len(path.read_text().splitlines()) for path in self.fleet.folder.glob("*.starts"))

    def deaths(self) -> int:
        """How many deeds of the plan were done."""
        done = self.plan.with_suffix(".done")
        return len(list(done.iterdir())) if done.exists() else 0


def receive(fleet: Fleet, *, upload_id: str | None = None) -> str:
    """A picture that nobody has looked at yet."""
    new = new_upload(upload_id=upload_id)
    return fleet.house.receive.run(new, [samples.photo((160, 120))], keep_for=timedelta(days=90)).id


def ended(fleet: Fleet, ids: list[str], state: UploadState = UploadState.READY) -> bool:
    return all(fleet.upload(upload_id).state is state for upload_id in ids)


def published_once(fleet: Fleet, upload_id: str) -> None:
    """Ready, said once, each rendition there once, and its event too."""
    moves = [e for e in fleet.story(upload_id) if e.target == "ready" and "artifact_id" not in e.detail]
    assert len(moves) == 1, [event.event for event in fleet.story(upload_id)]
    present = [c for c in fleet.copies(upload_id, ArtifactState.PRESENT) if c.kind is ArtifactKind.RENDITION]
    assert Counter(copy.name for copy in present) == THREE
    for copy in present:
        assert fleet.path(copy).stat().st_size == copy.bytes


def strays(fleet: Fleet) -> set[Path]:
    """Files that no row of a copy which may exist names."""
    with fleet.house.ledger.read() as tx:
        query = select(tables.artifacts.c.key).where(tables.artifacts.c.state.in_(["planned", "present", "erasing"]))
        known = set(tx.conn.execute(query).scalars())
    return {path for path in fleet.files() if not any(key in str(path) for key in known)}


def scratch(fleet: Fleet) -> set[Path]:
    root = fleet.house.settings.scratch_root()
    return {path for path in root.rglob("*") if path.is_file() and path.name != ".id"}


def attempts(fleet: Fleet, kind: str, target: str) -> int:
    with fleet.house.ledger.read() as tx:
        query = select(tables.leases.c.attempts).where(tables.leases.c.kind == kind, tables.leases.c.target == target)
        return int(tx.conn.execute(query).scalar_one())


def job_state(fleet: Fleet, kind: str, target: str) -> str:
    with fleet.house.ledger.read() as tx:
        query = select(tables.leases.c.state).where(tables.leases.c.kind == kind, tables.leases.c.target == target)
        return str(tx.conn.execute(query).scalar_one())


def let_claims_run_out(fleet: Fleet) -> None:
    """What a dead eraser held of copies is free a minute later; tests do not wait that minute."""
    with fleet.house.ledger.begin() as tx:
        held = tables.artifacts.c.lease_until.is_not(None)
        live = text(tables.LIVE_ARTIFACT)
        tx.conn.execute(update(tables.artifacts).where(held, live).values(lease_until=tx.now))
        waiting = (tables.leases.c.kind == "erase", text(tables.READY_JOB))
        tx.conn.execute(update(tables.leases).where(*waiting).values(not_before=tx.now))
        jobs = select(tables.leases.c.id).where(*waiting)
        tx.conn.execute(update(tables.outbox).where(tables.outbox.c.job_id.in_(jobs)).values(ring_at=tx.now))
