"""What another backend may send by name, as JSON: the only tasks with a payload; checked like an HTTP body.

Bad arguments become a dead letter that an operator sees, never an exception: a message that fails must not come back.
Where the ledger is away the message goes back to the queue, since nothing else holds it yet.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from celery.exceptions import Reject

from tasks.guard import code_of
from tasks.seat import House, Seat
from worker.errors import Defect, Refused

# No honest payload comes near it (ids, a few words, one date).
_MOST_BYTES = 16_384
# How long a message that cannot be written yet keeps its slot before it goes back to the tail of the queue.
_PAUSE_S = 2.0

Verb: TypeAlias = "Callable[[House, dict[str, Any]], None]"


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """A task name and the verb of the house behind it."""

    name: str
    verb: Verb


ENTRANCES: tuple[Entrance, ...] = (
    Entrance(name="mayfly.submit", verb=lambda house, payload: house.submit(payload)),
    Entrance(name="mayfly.renew", verb=lambda house, payload: house.renew(payload)),
    Entrance(name="mayfly.erase_upload", verb=lambda house, payload: house.erase_upload(payload)),
    Entrance(name="mayfly.erase_subject", verb=lambda house, payload: house.request_erasure(payload)),
)


def enter(
    seat: Seat, entrance: Entrance, args: tuple[object, ...], payload: Mapping[str, Any], *, pause_s: float = _PAUSE_S
) -> None:
    """Hand one payload to its verb. Raises only `Reject(requeue=True)`: not written yet, the queue must keep it."""
    try:
        try:
            house = seat.open()
            house.permit()
            _check(args, payload)
            entrance.verb(house, dict(payload))
        except Refused as refused:
            seat.open().dead_letter(entrance.name, refused.code, str(refused))
        except BaseException as error:
            if getattr(error, "retryable", False) is True:
                raise
            code = "defect" if isinstance(error, Defect) else code_of(error)
            seat.open().dead_letter(entrance.name, "defect", f"failed with {code}; report it to the operator")
    except BaseException as error:  # noqa: BLE001  the ledger cannot be written: neither done nor refused
        _say(seat, entrance, error)
        # Not time.sleep: one interruptible wait, so that a flood cannot circle through the queue at full speed.
        threading.Event().wait(0 if seat.drain.begun() else pause_s)
        raise Reject("not written yet", requeue=True) from None


def _check(args: tuple[object, ...], payload: Mapping[str, Any]) -> None:
    if args:
        raise Refused("give every argument by name", code="bad_arguments")
    if len(json.dumps(payload)) > _MOST_BYTES:
        raise Refused(f"the arguments are longer than {_MOST_BYTES} bytes", code="bad_arguments")


def _say(seat: Seat, entrance: Entrance, error: BaseException) -> None:
    try:
        seat.open().log.warning("entrance_waits", kind=entrance.name, code=code_of(error))
    except BaseException:  # noqa: BLE001  no house yet: the message stays in the queue all the same
        return
