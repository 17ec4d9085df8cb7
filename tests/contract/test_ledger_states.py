"""Compare-and-set: listed moves happen with their event, all others are refused, races have one winner."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.contract import rows
from worker.errors import Defect, HoldActive, NotFound, StateConflict
from worker.ledger import artifacts, events, holds, states, uploads
from worker.ledger.database import Ledger
from worker.ledger.states import ARTIFACT_TRANSITIONS, UPLOAD_TRANSITIONS
from worker.model import Artifact, ArtifactState, Upload, UploadState, new_id


def test_every_listed_move_of_an_upload_happens_and_writes_its_event(ledger: Ledger) -> None:
    for row in UPLOAD_TRANSITIONS:
        with ledger.begin() as tx:
            upload = rows.upload(tx, UploadState(row.source))

        with ledger.begin() as tx:
            moved = states.move_upload(tx, upload.id, to=UploadState(row.target), source=upload.state, actor="test")

        with ledger.read() as tx:
            last = events.of_upload(tx, upload.id)[-1]
            assert uploads.get(tx, upload.id) == moved
        assert (moved.state, moved.fence) == (row.target, upload.fence)
        assert (last.event, last.source, last.target) == (row.event, row.source, row.target)


def test_every_listed_move_of_a_copy_happens_and_writes_its_event(ledger: Ledger) -> None:
    for row in ARTIFACT_TRANSITIONS:
        with ledger.begin() as tx:
            copy = rows.copy(tx, rows.upload(tx), ArtifactState(row.source))

        with ledger.begin() as tx:
            moved = states.move_artifact(tx, copy.id, to=ArtifactState(row.target), source=copy.state, actor="test")

        with ledger.read() as tx:
            last = events.of_upload(tx, copy.upload_id)[-1]
        assert moved.state == row.target
        assert (last.event, last.source, last.target) == (row.event, row.source, row.target)
        assert last.detail["artifact_id"] == copy.id


def test_every_unlisted_move_is_a_defect_and_changes_nothing(ledger: Ledger) -> None:
    listed = {(row.source, row.target) for row in UPLOAD_TRANSITIONS}
    with ledger.begin() as tx:
        samples = {state: rows.upload(tx, state) for state in UploadState}

    for source, upload in samples.items():
        for target in UploadState:
            if (source, target) not in listed:
                with pytest.raises(Defect), ledger.begin() as tx:
                    states.move_upload(tx, upload.id, to=target, source=source, actor="test")

    with ledger.read() as tx:
        assert all(uploads.get(tx, upload.id) == upload for upload in samples.values())


def test_every_unlisted_move_of_a_copy_is_a_defect(ledger: Ledger) -> None:
    listed = {(row.source, row.target) for row in ARTIFACT_TRANSITIONS}
    with ledger.begin() as tx:
        upload = rows.upload(tx)
        samples = {state: rows.copy(tx, upload, state) for state in ArtifactState}

    for source, copy in samples.items():
        for target in ArtifactState:
            if (source, target) not in listed:
                with pytest.raises(Defect), ledger.begin() as tx:
                    states.move_artifact(tx, copy.id, to=target, source=source, actor="test")

    with ledger.read() as tx:
        assert all(artifacts.get(tx, copy.id) == copy for copy in samples.values())


def test_a_late_task_cannot_publish_what_is_being_erased(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        upload = rows.upload(tx, UploadState.PROCESSING)
    with ledger.begin() as tx:
        states.move_upload(tx, upload.id, to=UploadState.ERASING, raise_fence=True, actor="erase")

    with pytest.raises(StateConflict) as refused, ledger.begin() as tx:
        states.move_upload(tx, upload.id, to=UploadState.READY, fence=upload.fence, actor="late")

    assert refused.value.code == "superseded"
    with ledger.read() as tx:
        assert uploads.get(tx, upload.id).state is UploadState.ERASING


def test_a_stale_fence_loses_even_in_the_right_state(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        upload = rows.upload(tx, UploadState.FAILED)
        states.move_upload(tx, upload.id, to=UploadState.QUARANTINED, raise_fence=True, actor="operator")

    with pytest.raises(StateConflict), ledger.begin() as tx:
        states.move_upload(tx, upload.id, to=UploadState.PROCESSING, fence=upload.fence, actor="late")


def test_an_unknown_row_is_named_by_its_code(ledger: Ledger) -> None:
    with pytest.raises(NotFound) as upload, ledger.begin() as tx:
        states.move_upload(tx, new_id("upl"), to=UploadState.ERASING, actor="test")
    with pytest.raises(NotFound) as artifact, ledger.begin() as tx:
        states.move_artifact(tx, new_id("art"), to=ArtifactState.ERASING, actor="test")

    assert (upload.value.code, artifact.value.code) == ("upload_not_found", "artifact_not_found")


def test_a_column_that_no_transition_sets_is_a_defect(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        upload = rows.upload(tx)

    with pytest.raises(Defect), ledger.begin() as tx:
        states.move_upload(tx, upload.id, to=UploadState.QUARANTINED, actor="test", subject_key="x")


def test_of_many_racers_one_moves_the_row(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        upload = rows.upload(tx, UploadState.QUARANTINED)

    def move(_number: int) -> Upload:
        with ledger.begin() as tx:
            return states.move_upload(tx, upload.id, to=UploadState.FAILED, fence=upload.fence, actor="racer")

    outcomes = rows.at_once(move)

    assert sum(isinstance(outcome, Upload) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, StateConflict) for outcome in outcomes) == len(outcomes) - 1
    with ledger.read() as tx:
        assert events.verify(tx, upload.id)
        assert [event.event for event in events.of_upload(tx, upload.id)].count("failed") == 1


def test_publishing_and_erasing_at_once_never_ends_published(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        upload = rows.upload(tx, UploadState.PROCESSING)

    def move(number: int) -> Upload:
        with ledger.begin() as tx:
            if number % 2:
                return states.move_upload(tx, upload.id, to=UploadState.ERASING, raise_fence=True, actor="erase")
            return states.move_upload(tx, upload.id, to=UploadState.READY, fence=upload.fence, actor="process")

    rows.at_once(move)

    with ledger.read() as tx:
        assert uploads.get(tx, upload.id).state is UploadState.ERASING
        assert events.verify(tx, upload.id)


def test_a_hold_that_came_a_moment_earlier_wins(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        copies = [rows.copy(tx, rows.upload(tx)) for _ in range(6)]

    for copy in copies:
        outcomes = rows.at_once(lambda number, copy=copy: _hold_or_erase(ledger, copy, number), 2)  # type: ignore[misc]

        with ledger.read() as tx:
            story = [event.event for event in events.of_upload(tx, copy.upload_id)]
            state = artifacts.get(tx, copy.id).state
        refused = any(isinstance(outcome, HoldActive) for outcome in outcomes)
        assert refused == (state is ArtifactState.PRESENT) == ("artifact_condemned" not in story)
        assert refused or story.index("artifact_condemned") < story.index("hold_placed")


def _hold_or_erase(ledger: Ledger, copy: Artifact, number: int) -> object:
    with ledger.begin() as tx:
        if number:
            return holds.place(tx, upload_id=copy.upload_id, case_ref="c1", reason="court order", authority="court")
        return states.move_artifact(tx, copy.id, to=ArtifactState.ERASING, actor="sweep")


def test_an_upload_is_not_erased_before_its_last_copy_is_at_its_end(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        upload = rows.upload(tx)
        copy = rows.copy(tx, upload, ArtifactState.ERASING)
        states.move_upload(tx, upload.id, to=UploadState.ERASING, actor="erase")

    with pytest.raises(StateConflict) as refused, ledger.begin() as tx:
        states.move_upload(tx, upload.id, to=UploadState.ERASED, actor="erase")
    with ledger.begin() as tx:
        states.move_artifact(tx, copy.id, to=ArtifactState.GONE, actor="erase")
        erased = states.move_upload(tx, upload.id, to=UploadState.ERASED, actor="erase")

    assert refused.value.code == "artifacts_left"
    assert erased.state is UploadState.ERASED


def test_a_copy_whose_erasure_began_is_looked_at_again_soon(ledger: Ledger) -> None:
    with ledger.begin() as tx:
        copy = rows.copy(tx, rows.upload(tx), lives=timedelta(days=90))

    with ledger.begin() as tx:
        begun = states.move_artifact(tx, copy.id, to=ArtifactState.ERASING, actor="erase")

        assert begun.next_attempt_at == tx.now + states.LOOK_AGAIN
