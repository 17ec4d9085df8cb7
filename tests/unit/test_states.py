"""The tables of transitions, as tables: complete, without dead ends, and with no way back from an erasure."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from worker.ledger.states import ARTIFACT_TRANSITIONS, UPLOAD_TRANSITIONS, Transition
from worker.model import ArtifactState, UploadState

BOTH = [
    pytest.param(UPLOAD_TRANSITIONS, UploadState, {UploadState.ERASED}, id="uploads"),
    pytest.param(ARTIFACT_TRANSITIONS, ArtifactState, {ArtifactState.GONE, ArtifactState.UNVERIFIABLE}, id="artifacts"),
]


def reachable(table: Iterable[Transition], start: str) -> set[str]:
    found, fresh = {start}, {start}
    while fresh:
        fresh = {row.target for row in table if row.source in fresh} - found
        found |= fresh
    return found


@pytest.mark.parametrize(("table", "states", "ends"), BOTH)
def test_each_move_is_listed_once(table: tuple[Transition, ...], states: type[str], ends: set[str]) -> None:
    pairs = [(row.source, row.target) for row in table]

    assert len(pairs) == len(set(pairs))
    assert {state for pair in pairs for state in pair} == set(states)  # type: ignore[call-overload]


@pytest.mark.parametrize(("table", "states", "ends"), BOTH)
def test_every_state_can_reach_its_end_and_nothing_leaves_it(
    table: tuple[Transition, ...], states: type[str], ends: set[str]
) -> None:
    for state in states:  # type: ignore[attr-defined]
        assert reachable(table, state) & ends, f"{state} has no path to its end"
    assert {row.source for row in table}.isdisjoint(ends)


def test_an_erasure_has_no_way_back() -> None:
    assert reachable(UPLOAD_TRANSITIONS, UploadState.ERASING) == {UploadState.ERASING, UploadState.ERASED}
    assert ArtifactState.PRESENT not in reachable(ARTIFACT_TRANSITIONS, ArtifactState.ERASING)


def test_every_state_but_the_last_can_begin_to_be_erased() -> None:
    sources = {row.source for row in UPLOAD_TRANSITIONS if row.target == UploadState.ERASING}

    assert sources == set(UploadState) - {UploadState.ERASING, UploadState.ERASED}
