"""What app and operator can do, each done to the house and to the model, with what must be true in the same moment."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from tests import houses, samples
from tests.promises import laws
from tests.promises.hands import Hands
from tests.promises.model import DAY, Known, day_of
from worker.errors import HoldActive, StateConflict
from worker.ledger import leases, restrictions
from worker.model import ArtifactKind, ArtifactState, Trigger, UploadState

PNG = samples.png((16, 16))
BROKEN = PNG[:40]
MOST = 3
# Uploads of one example in all; the gone ones stay in the ledger, and every look reads them.
ALTOGETHER = 7
# A copy in the hands of somebody who died is looked at again after this long.
CLAIMED = timedelta(minutes=5)
LIVING = (ArtifactState.PLANNED, ArtifactState.PRESENT)
ENDING = (UploadState.ERASING, UploadState.ERASED)


class Acts(Hands):
    @property
    def room(self) -> bool:
        alive = sum(not known.gone for known in self.known.values())
        return alive < MOST and len(self.born) < ALTOGETHER

    def pick(self, which: int) -> str:
        """One of the uploads that are not gone, where there is such a one."""
        alive = [upload_id for upload_id, known in self.known.items() if not known.gone]
        some = alive or list(self.known)
        return some[which % len(some)]

    def sent(self, subject: str, keep_for: timedelta, body: bytes = PNG) -> None:
        upload_id = f"upl_{len(self.born):032x}"
        new = houses.new_upload(subject_key=subject, upload_id=upload_id)
        self.born[upload_id] = None
        self.born[upload_id] = self.house.receive.run(new, [body], keep_for=min(keep_for, self.most))
        self.known[upload_id] = Known(subject)

    def renewed(self, upload_id: str, keep_for: timedelta) -> None:
        if self.state(upload_id) is not UploadState.READY:
            self.do()
        was = houses.upload_of(self.house, upload_id)
        try:
            self.house.renewing.run(houses.APP, upload_id, keep_for, most=self.most)
        except StateConflict:
            assert was.state is not UploadState.READY or was.delete_at <= self.clock.at
            return
        now = houses.upload_of(self.house, upload_id)
        assert now.delete_at == min(self.clock.at + keep_for, was.created_at + self.most)  # I10
        for copy in houses.copies_of(self.house, upload_id):
            if copy.state is ArtifactState.PRESENT and copy.rule == "rendition.published":
                assert copy.delete_at == day_of(copy, now, self.policy, self.most)

    def asked(self, upload_id: str) -> None:
        known, before = self.known[upload_id], self.state(upload_id)
        known.asked = True
        try:
            self.house.erasing.begin(upload_id, Trigger.USER)
        except HoldActive:
            assert known.holds
        else:
            assert before in ENDING or not known.holds  # I4
            if not known.holds:
                known.wanted_gone()

    def asked_for_all(self, subject: str) -> None:
        self.house.fulfilling.open(houses.APP, subject)
        for known in self.known.values():
            if known.subject == subject:
                known.wanted_gone()

    def held(self, upload_id: str, case: str) -> None:
        try:
            self.house.holding.place(upload_id=upload_id, case_ref=case, reason="order", authority="court")
        except StateConflict:
            assert self.state(upload_id) is UploadState.ERASED
        else:
            self.known[upload_id].holds.add(case)
            self.shield(upload_id)

    def released(self, upload_id: str, case: str) -> None:
        self.known[upload_id].holds.discard(case)
        self.known[upload_id].freed()
        self.house.holding.release(upload_id=upload_id, case_ref=case)
        self._due_in_the_same_commit(upload_id)

    def restricted(self, upload_id: str) -> None:
        with contextlib.suppress(StateConflict):
            with self.house.ledger.begin() as tx:
                restrictions.place(tx, upload_id=upload_id, reason="contested")
            self.known[upload_id].restricted = True
            self.shield(upload_id)

    def lifted(self, upload_id: str) -> None:
        with self.house.ledger.begin() as tx:
            restrictions.lift(tx, upload_id=upload_id, actor="operator")
        self.known[upload_id].restricted = False
        self.known[upload_id].freed()
        self._due_in_the_same_commit(upload_id)

    def _due_in_the_same_commit(self, upload_id: str) -> None:
        """I4: what has passed its day is due by the commit that let go of it, and so is the work that waited."""
        if self.known[upload_id].kept:
            return
        sight = laws.look(self.house)
        for copy in sight.of(upload_id):
            late = copy.delete_at <= sight.now or copy.kind is ArtifactKind.EVIDENCE
            if late and copy.state in (*LIVING, ArtifactState.ERASING, ArtifactState.BLOCKED):
                assert copy.next_attempt_at - self.clock.at <= CLAIMED
        for job in sight.jobs:
            if job.target == upload_id and job.kind in ("process", "erase") and job.state == "ready":
                assert job.not_before <= self.clock.at

    def decreed(self, policy: str, most: timedelta, *, later: bool) -> None:
        """Another policy, applied to what there is."""
        if (policy, most) != (self.policy, self.most):
            self.policy, self.most = policy, most
            self.reopen()
        before = {copy.id: copy for copy in laws.look(self.house).copies if copy.state in LIVING}
        owners = {upload_id: houses.upload_of(self.house, upload_id) for upload_id in self.known}
        self.house.repolicing.run(houses.FreeGuard(), apply=True, later=later)
        for upload_id, owner in owners.items():
            for copy in houses.copies_of(self.house, upload_id):
                day = day_of(copy, owner, policy, most)
                if copy.id in before and day is not None:
                    was = before[copy.id].delete_at
                    assert copy.delete_at == (day if later or day < was else was)  # I10

    def swept(self) -> None:
        with self.house.ledger.begin() as tx:
            leases.hurry(tx, "sweep", "all")

    def kept_or(self, which: int) -> str:
        """One of those that somebody keeps; where there is none, one that is held from now on."""
        kept = [upload_id for upload_id, known in self.known.items() if known.kept and not known.gone]
        if not kept:
            self.held(self.pick(which), "c1")
            return self.pick(which)
        return kept[which % len(kept)]

    def let_go(self, upload_id: str) -> None:
        """By everybody, one after the other."""
        for case in sorted(self.known[upload_id].holds):
            self.released(upload_id, case)
        if self.known[upload_id].restricted:
            self.lifted(upload_id)

    def prepare(self, kind: str, which: int) -> None:
        """Have something to do for a job of that kind."""
        upload_id = self.pick(which)
        if kind == "process" and self.room:
            self.sent(self.known[upload_id].subject, DAY)
        elif kind == "erase":
            self.asked(upload_id)
        elif kind == "erase_subject":
            self.asked_for_all(self.known[upload_id].subject)
        elif kind == "preserve":
            self.do()
            self.held(upload_id, "c1")
        elif kind == "sweep":
            # Single copies are due, or on another day whole uploads.
            self.do(only="process")
            self.clock.at += 2 * DAY * (which % 2)
            self.swept()
