"""The statement of a day, and the proof that one receipt is among those that the day had.

    statement   day, tree_size, root (RFC 9162 over the texts of the receipts), previous_root; signed like a receipt
    proof       the statement, leaf_index and path: what it takes to get from one receipt to that root

A receipt that is taken away or put in later changes the root; a day that is left out breaks the chain of roots.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

from worker.errors import Refused
from worker.privacy import merkle
from worker.privacy.bodies import instant
from worker.privacy.receipt import signed_by, verify, written

VERSION = 1
_HASH = re.compile(r"[0-9a-f]{64}")


def body(*, day: date, tree_size: int, root: bytes, previous_root: str | None, now: datetime) -> dict[str, Any]:
    """What is signed for a day (UTC); `previous_root` is None for the first one."""
    return {
        "statement_version": VERSION,
        "day": day.isoformat(),
        "issued_at": instant(now),
        "tree_size": tree_size,
        "root": root.hex(),
        "previous_root": previous_root,
    }


def root_of(statement: str) -> str:
    """The root in a statement of our own ledger; whether it is true, a recount says."""
    return str(json.loads(statement)["root"])


def proof(statement: str, *, index: int, leaves: Sequence[bytes]) -> str:
    """The text of a proof for the receipt at `index` of the day; `leaves` are the hashes of all of them."""
    steps = [step.hex() for step in merkle.path(index, leaves)]
    return written({"statement": json.loads(statement), "leaf_index": index, "path": steps})


def included(receipt: str, proof: str, public_key: Callable[[str], bytes]) -> str:
    """The day whose statement covers this receipt. `public_key` gives the PEM for the id of a key.

    Raises `Refused`: `bad_proof` for what is no proof, `not_in_day`, and those of `verify` for the statement in it.
    """
    index, steps, statement = _read(proof)
    said = verify(statement, public_key(signed_by(statement)))
    if not isinstance(said.get("tree_size"), int) or not _HASH.fullmatch(str(said.get("root"))):
        raise Refused("what was signed there is not the statement of a day", code="bad_proof")
    leads = merkle.leads_to(
        bytes.fromhex(said["root"]),
        entry=merkle.leaf(receipt.encode()),
        index=index,
        size=said["tree_size"],
        steps=steps,
    )
    if not leads:
        raise Refused("the statement of that day does not cover this receipt", code="not_in_day")
    return str(said["day"])


def _read(proof: str) -> tuple[int, list[bytes], str]:
    try:
        document = json.loads(proof)
        index, path, statement = document["leaf_index"], document["path"], written(document["statement"])
        sound = type(index) is int and all(_HASH.fullmatch(step) for step in path) and written(document) == proof
    except (ValueError, KeyError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise Refused("this is not a proof; `mayfly receipt show` writes one", code="bad_proof") from None
    return index, [bytes.fromhex(step) for step in path], statement
