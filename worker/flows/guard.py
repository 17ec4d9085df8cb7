"""What a flow sees of the lease it works under: it names its steps, and asks whether the work is still its own.

Refuses nothing by itself. `tasks/task.py` gives the real one; flows know only this shape, so they need no queue.
"""

from __future__ import annotations

from typing import Protocol


class Guard(Protocol):
    """One guard a claimed job. All three verbs are cheap, may be called from any thread and as often as wished."""

    def step(self, name: str) -> None:
        """Name the step that begins now; the next heartbeat writes it into the lease, so a crash says where it was.

        `name` is a fixed word of the flow, never a value out of the upload (P7).
        """

    def check(self) -> None:
        """Raise `worker.errors.LeaseLost` where the lease is lost, or the worker is stopping and gave it back.

        Call it before every effect. It does not replace the fence: the store has the last word.
        """

    def cancelled(self) -> bool:
        """The same question without the exception, for a tool that polls it (`jail.run(cancelled=…)`)."""
