"""Builds the house from settings: one ledger, one shelf, one jail and the flows between them, once per process.

Build it after a fork, never before: connections and the jail's zygote do not survive one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import structlog

from worker import home, places
from worker.errors import Unavailable
from worker.flows.attest import Attest, Changed
from worker.flows.brake import Brake
from worker.flows.entrance import Entrance
from worker.flows.erase import Erase
from worker.flows.export import Export
from worker.flows.fulfil import Fulfil
from worker.flows.gate import Gate
from worker.flows.guard import Guard
from worker.flows.hold import Holding
from worker.flows.process import Process
from worker.flows.receive import Receive
from worker.flows.reconcile import Reconcile
from worker.flows.refuse import Refuse
from worker.flows.renew import Renew
from worker.flows.repolicy import Repolicy
from worker.flows.requeue import Requeue
from worker.flows.restore import Restore
from worker.flows.submit import Submit
from worker.flows.sweep import Sweep, Swept
from worker.ledger import days, uploads
from worker.ledger.clock import HostClock, host_now
from worker.ledger.database import Clock, Ledger
from worker.media.jail import Jail
from worker.media.limits import MediaLimits
from worker.media.studio import Studio
from worker.model import Job, UploadState
from worker.moderation.policy import POLICY_VERSION
from worker.privacy.folder import ReceiptFolder
from worker.privacy.journal import Journal
from worker.privacy.receipt import Signer
from worker.retention.book import Book
from worker.settings import Settings
from worker.shelf import Shelf


@dataclass(frozen=True, kw_only=True)
class House:
    """Everything a process needs. The verbs below are what the queue may ask for."""

    settings: Settings
    ledger: Ledger
    shelf: Shelf
    jail: Jail
    receive: Receive
    processing: Process
    erasing: Erase
    sweeping: Sweep
    fulfilling: Fulfil
    submitting: Submit
    renewing: Renew
    refusing: Refuse
    requeueing: Requeue
    holding: Holding
    reconciling: Reconcile
    repolicing: Repolicy
    attesting: Attest
    restoring: Restore
    gated: bool
    signer: Signer
    receipt_folder: ReceiptFolder
    entrance: Entrance
    subject_secret: bytes = field(repr=False)
    log: Any = field(default_factory=structlog.get_logger)

    @classmethod
    def build(
        cls,
        settings: Settings,
        *,
        clock: Clock | None = None,
        host: HostClock | None = None,
        jail: Jail | None = None,
        gated: bool = True,
    ) -> House:
        """`jail`: one to share; a house that makes its own starts it with the first file. `clock`: a time of its own,
        which is believed unless `host` says what to compare it with. `gated=False`: for those who only look, and for
        the replay itself.

        Raises `Unavailable` (`home_read_only`, `disk_full`, `ledger_unavailable`, and what `Gate.check` raises) in one
        clear line.
        """
        with home.told():
            home.make(settings)
            signer, folder = home.signer(settings), home.receipts(settings)
            secret = home.subject_secret(settings)
        book = settings.book()
        ledger = Ledger(settings.ledger_url(), clock=clock)
        ledger.migrate()
        gate = _gate(settings, ledger, closed=gated)
        shelf = places.shelf(settings, ledger, book)
        limits = media_limits(settings)
        studio = _studio(settings, jail or Jail(mode=settings.jail), limits)
        refuse = Refuse(ledger=ledger, shelf=shelf, book=book)
        receive = _receive(settings, ledger, shelf, refuse, limits, book)
        brake = Brake(ledger=ledger, book=book, host=host if clock else host or host_now)
        erase = Erase(ledger=ledger, shelf=shelf, signer=signer, policy_version=POLICY_VERSION, book=book)
        fulfil = Fulfil(ledger=ledger, erase=erase, signer=signer)
        submit = Submit(ledger=ledger, shelf=shelf, receive=receive, intake=places.INTAKE, book=book)
        renew = Renew(ledger=ledger, book=book)
        reconcile = Reconcile(ledger=ledger, shelf=shelf, signer=signer)
        return cls(
            settings=settings,
            ledger=ledger,
            shelf=shelf,
            jail=studio.jail,
            receive=receive,
            processing=_process(ledger, shelf, refuse, studio, book),
            erasing=erase,
            sweeping=Sweep(ledger=ledger, shelf=shelf, erase=erase, brake=brake, book=book),
            fulfilling=fulfil,
            submitting=submit,
            renewing=renew,
            refusing=refuse,
            requeueing=Requeue(ledger=ledger, book=book),
            repolicing=Repolicy(ledger=ledger, book=book, most=lambda app: settings.app(app).keep_for_most),
            attesting=Attest(ledger=ledger, signer=signer),
            reconciling=reconcile,
            restoring=_restoring(gate, shelf, erase, reconcile),
            gated=gated,
            holding=Holding(ledger=ledger, shelf=shelf, secret=secret),
            signer=signer,
            receipt_folder=folder,
            entrance=_entrance(settings, ledger, submit, renew, erase, fulfil),
            subject_secret=secret,
        )

    @property
    def braking(self) -> Brake:
        return self.sweeping.brake

    @property
    def gate(self) -> Gate:
        return self.restoring.gate

    def close(self) -> None:
        self.jail.close()
        self.ledger.close()

    def permit(self) -> None:
        """Raises `Unavailable` while the ledger is older than the journal of erasures, also where that came about
        under a running process."""
        if self.gated:
            self.gate.look()

    def export(self) -> None:
        """What was erased stands in the journal, too; by the replay itself nothing is added to it."""
        if self.gated:
            self.restoring.export.run()

    def process(self, upload_id: str, job: Job, guard: Guard) -> None:
        self.processing.run(upload_id, job, guard)

    def end_receiving(self, upload_id: str, _job: Job, _guard: Guard) -> None:
        self.receive.abandoned(upload_id)

    def erase(self, upload_id: str, job: Job, guard: Guard) -> None:
        self.erasing.run(upload_id, job, guard)
        self.export()

    def preserve(self, upload_id: str, _job: Job, guard: Guard) -> None:
        self.holding.preserve(upload_id, guard)

    def erase_subject(self, request_id: str, job: Job, guard: Guard) -> None:
        self.fulfilling.run(request_id, job, guard)

    def sweep(self, _target: str, _job: Job, guard: Guard) -> None:
        self._alarm(self.sweeping.run(guard))
        self.export()

    def reconcile(self, _target: str, _job: Job, guard: Guard) -> None:
        """The daily look: strangers are noted, and erased where the settings say so."""
        report = self.reconciling.run(guard, apply=self.settings.reconcile_apply)
        found = {name: getattr(report, name) for name in ("strangers", "erased", "missing", "net_fired", "unfinished")}
        say = self.log.warning if report.missing or report.net_fired else self.log.info
        say("reconciled", **found)
        self.restoring.journal.end()  # every line once a day: a change in the middle is told by this job's code

    def attest(self, _target: str, _job: Job, guard: Guard) -> None:
        """Days that are over get their statement, in the ledger and as a file of this home, and all are recounted."""
        if self.attesting.run(guard):
            for found in self.recount():
                self.log.error("receipts_of_a_day_changed", state=found.what, target=found.day)

    def recount(self) -> Iterator[Changed]:
        """Days whose receipts or statement changed since; files of statements that are not here yet are written."""
        with self.ledger.read() as tx:
            for day, text in days.every(tx):
                self.receipt_folder.keep_day(day.isoformat(), text)
        return self.attesting.recount(self.receipt_folder.days(), self.receipt_folder.public_key)

    def sweep_scratch(self, guard: Guard) -> Swept:
        """What killed runs left behind in the scratch of this host, when it is due: no other host can reach it."""
        swept = self.sweeping.run(guard, locations=(self.shelf.scratch.name,))
        self._alarm(swept)
        return swept

    def _alarm(self, swept: Swept) -> None:
        """Once at tripping; from then on `mayfly status` and the metrics say that a brake is on."""
        for trigger in swept.tripped:
            self.log.warning("brake_tripped", kind=trigger, uploads=swept.braked)

    def give_up(self, kind: str, target: str, code: str) -> None:
        """A job died three times or can never succeed: its upload ends `failed`. Other kinds stay for the operator."""
        if kind != "process":
            return
        with self.ledger.read() as tx:
            upload = uploads.find(tx, target)
        if upload and upload.state in (UploadState.QUARANTINED, UploadState.PROCESSING):
            self.refusing.run(upload, code, actor="relay")

    def requeue(self, job_id: str) -> None:
        """An operator tries a dead job again; a failed upload goes back to quarantine in the same commit."""
        self.requeueing.run(job_id)

    def submit(self, payload: dict[str, Any]) -> None:
        self.entrance.submit(payload)

    def renew(self, payload: dict[str, Any]) -> None:
        self.entrance.renew(payload)

    def erase_upload(self, payload: dict[str, Any]) -> None:
        self.entrance.erase_upload(payload)

    def request_erasure(self, payload: dict[str, Any]) -> None:
        self.entrance.erase_subject(payload)

    def dead_letter(self, task: str, code: str, detail: str) -> None:
        self.entrance.dead_letter(task, code, detail)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Tells the ledger how far an encoding is."""

    ledger: Ledger

    def __call__(self, upload_id: str, percent: int) -> None:
        with self.ledger.begin() as tx:
            uploads.progress(tx, upload_id, percent)


def _gate(settings: Settings, ledger: Ledger, *, closed: bool) -> Gate:
    """`closed`: only a ledger that knows its journal comes through."""
    gate = Gate(ledger=ledger, journal=Journal(path=settings.journal_path()))
    try:
        if closed:
            gate.check()
    except Unavailable:
        ledger.close()
        raise
    return gate


def _restoring(gate: Gate, shelf: Shelf, erase: Erase, reconcile: Reconcile) -> Restore:
    export = Export(ledger=gate.ledger, journal=gate.journal, gate=gate)
    return Restore(
        ledger=gate.ledger,
        shelf=shelf,
        journal=gate.journal,
        gate=gate,
        erase=erase,
        export=export,
        reconcile=reconcile,
    )


def _studio(settings: Settings, jail: Jail, limits: MediaLimits) -> Studio:
    return Studio(
        jail=jail,
        limits=limits,
        video_threads=settings.video_threads,
        renditions_on=settings.renditions_on,
        wide_gamut=settings.wide_gamut,
    )


def _receive(
    settings: Settings, ledger: Ledger, shelf: Shelf, refuse: Refuse, limits: MediaLimits, book: Book
) -> Receive:
    return Receive(
        ledger=ledger,
        shelf=shelf,
        refuse=refuse,
        limits=limits,
        formats_on=frozenset(settings.formats_on),
        book=book,
    )


def _process(ledger: Ledger, shelf: Shelf, refuse: Refuse, studio: Studio, book: Book) -> Process:
    return Process(
        ledger=ledger,
        shelf=shelf,
        refuse=refuse,
        studio=studio,
        progress=Progress(ledger=ledger),
        book=book,
    )


def _entrance(
    settings: Settings, ledger: Ledger, submit: Submit, renew: Renew, erase: Erase, fulfil: Fulfil
) -> Entrance:
    return Entrance(
        ledger=ledger,
        keep_for=lambda app: (settings.app(app).keep_for, settings.app(app).keep_for_most),
        submitting=submit,
        renewing=renew,
        erasing=erase,
        fulfilling=fulfil,
    )


def media_limits(settings: Settings) -> MediaLimits:
    """The limits table with the operator's values."""
    return MediaLimits(
        pixels=settings.image_pixels,
        image_bytes=settings.image_bytes,
        video_bytes=settings.video_bytes,
        duration_s=settings.video_seconds,
    )
