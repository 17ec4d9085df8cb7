"""The guarantee behind the doorbell: rings what was not rung, what got lost, and what was leased by the dead.

Any number may run; claims settle who does what. It has no power that a worker lacks, and it never publishes inside
a transaction. A broker that is away costs time, nothing else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from tasks.guard import code_of
from tasks.schedule import DUTIES, Duty
from tasks.seat import House
from tasks.task import PREFIX
from worker.errors import LeaseLost, MayflyError
from worker.ledger import leases, outbox
from worker.model import WorkClass

if TYPE_CHECKING:
    from celery import Celery

    from worker.ledger.outbox import Bell

_BATCH = 200
_HIDDEN = "(…)"
# After a publish error: wait, doubling to the cap. The intake keeps accepting meanwhile.
_MUTE_FIRST_S, _MUTE_CAP_S = 1.0, 15.0
# How often at most the bells of a class that looks lost are rung again.
_LOST_EVERY_S = 10.0
_DUTIES_EVERY_S = 60.0
BrokerErrors: tuple[type[Exception], ...] = (KombuError, RedisError, OSError)


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one round did: bells rung, dead leases rung again, jobs given up, classes whose queue was lost."""

    rung: int = 0
    revived: int = 0
    buried: int = 0
    lost: int = 0


def publish(app: Celery, bell: Bell) -> None:
    """Send one doorbell: row id and fence, nothing else. Raises one of `BrokerErrors`."""
    app.send_task(
        f"{PREFIX}{bell.kind}",
        args=[bell.job_id, bell.fence],
        queue=str(bell.work_class),
        argsrepr=_HIDDEN,
        kwargsrepr=_HIDDEN,
        ignore_result=True,
    )


class Relay:
    """`run` until stopped, or `round` by hand. Not for use by two threads at once, apart from `poke`.

    `lost_after_s` is how long a class must look lost (rows rung, queue empty) before its bells are rung again.
    """

    def __init__(
        self,
        house: House,
        app: Celery,
        *,
        interval_s: float = 1.0,
        duties: Sequence[Duty] = DUTIES,
        lost_after_s: float = 1.0,
    ) -> None:
        self._house, self._app, self._interval_s, self._duties = house, app, interval_s, tuple(duties)
        self._lost_after_s = lost_after_s
        self._wake = threading.Event()
        self._mute_s, self._mute_until = 0.0, 0.0
        self._duties_at: float | None = None
        self._lost_since: dict[WorkClass, float] = {}
        self._lost_rung: dict[WorkClass, float] = {}
        self._eye: Any = None

    def poke(self) -> None:
        """Something was committed: ring now instead of at the next round. Never blocks, may be called by anyone."""
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Rounds until `stop` is set; an error of one round is logged and the next round tries again."""
        failed_s = 0.0
        while not stop.is_set():
            try:
                did = self.round()
                failed_s = 0.0
            except MayflyError as error:
                failed_s = min(30.0, max(self._interval_s, failed_s * 2))
                self._house.log.warning("relay_waits", code=error.code)
                stop.wait(failed_s)
                continue
            if did.rung < _BATCH:
                self._wake.wait(self._interval_s)
            self._wake.clear()
        self.close()

    def round(self) -> Round:
        """One look at everything. Raises `Unavailable` where the ledger is away or too old, never for the broker."""
        self._house.permit()
        self._keep_duties()
        revived, buried = self._tend_dead()
        lost = self._find_lost()
        return Round(rung=self.ring(), revived=revived, buried=buried, lost=lost)

    def ring(self) -> int:
        """Ring one batch of what is due; what could not be sent is due again at once."""
        if time.monotonic() < self._mute_until:
            return 0
        with self._house.ledger.begin() as tx:
            bells = outbox.take(tx, limit=_BATCH)
        for rung, bell in enumerate(bells):
            try:
                publish(self._app, bell)
            except BrokerErrors as error:
                self._mute(error)
                self._put_back(bells[rung:])
                return rung
        if bells:
            self._mute_s = 0.0
        return len(bells)

    def close(self) -> None:
        """Let go of the broker; the ledger belongs to the house."""
        eye, self._eye = self._eye, None
        if eye is not None:
            with suppress(*BrokerErrors):
                eye.release()

    def _put_back(self, bells: Sequence[Bell]) -> None:
        with self._house.ledger.begin() as tx:
            for bell in bells:
                outbox.put(tx, bell.job_id, tx.now)

    def _mute(self, error: Exception) -> None:
        """Never `force_close_all` here: every later publish would fail until restart."""
        self._mute_s = min(_MUTE_CAP_S, max(_MUTE_FIRST_S, self._mute_s * 2))
        self._mute_until = time.monotonic() + self._mute_s
        self._house.log.warning("broker_away", code=code_of(error), seconds=self._mute_s)

    def _keep_duties(self) -> None:
        """Their rows exist and are due within their interval; at the first round they are due now."""
        now = time.monotonic()
        if self._duties_at is not None and now - self._duties_at < _DUTIES_EVERY_S:
            return
        with self._house.ledger.begin() as tx:
            for duty in self._duties:
                leases.create(
                    tx,
                    kind=duty.kind,
                    target=duty.target,
                    work_class=duty.work_class,
                    not_before=None if self._duties_at is None else tx.now + duty.every,
                    every=duty.every,
                )
        self._duties_at = now

    def _tend_dead(self) -> tuple[int, int]:
        """Leases whose holder died: ring with the current fence; after the last attempt set the job aside."""
        with self._house.ledger.begin() as tx:
            dead = leases.expired(tx, _BATCH)
            spent = [row for row in dead if row.exhausted]
            for row in dead:
                if row not in spent:
                    outbox.put(tx, row.job_id, tx.now)
        for row in spent:
            self._bury(row)
        return len(dead) - len(spent), len(spent)

    def _bury(self, row: leases.Expired) -> None:
        try:
            self._house.give_up(row.kind, row.target, "crashed")
        except MayflyError as error:
            # Its upload cannot be ended just now; the row stays as it is, and the next round tries again.
            self._house.log.warning("give_up_waits", job_id=row.job_id, code=error.code)
            return
        with suppress(LeaseLost), self._house.ledger.begin() as tx:
            leases.bury(tx, row.job, code="crashed")
        self._house.log.error("job_dead", job_id=row.job_id, kind=row.kind, attempts=row.attempts, code="crashed")

    def _find_lost(self) -> int:
        """A queue that is empty while its rows were rung is a loss (flush, restart): ring them all again."""
        now, lost = time.monotonic(), 0
        if now < self._mute_until:
            return 0
        with self._house.ledger.read() as tx:
            waiting = outbox.waiting(tx)
        for work_class in WorkClass:
            if not waiting.get(work_class) or self._length(work_class) != 0:
                self._lost_since.pop(work_class, None)
                continue
            since = self._lost_since.setdefault(work_class, now)
            if (
                now - since < self._lost_after_s
                or now - self._lost_rung.get(work_class, -_LOST_EVERY_S) < _LOST_EVERY_S
            ):
                continue
            with self._house.ledger.begin() as tx:
                outbox.ring_all(tx, work_class)
            self._lost_rung[work_class] = now
            lost += 1
        return lost

    def _length(self, work_class: WorkClass) -> int | None:
        """Messages in the queue of a class; None where the broker cannot say."""
        try:
            if self._eye is None:
                self._eye = self._app.connection_for_write()
            # Not passive: kombu 5.7 then asks whether the key exists, and forgets our prefix. Declaring a queue writes
            # nothing to Redis.
            return int(self._eye.default_channel.queue_declare(queue=str(work_class)).message_count)
        except BrokerErrors as error:
            self.close()
            self._mute(error)
            return None
