"""The Merkle tree of RFC 9162, section 2.1, over SHA-256: one hash that stands for all receipts of a day, in order.

A leaf is hashed behind the byte 0x00 and a node behind 0x01, so that no leaf can pass for a node. A path is what it
takes to get from one leaf to the root, without the other receipts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

EMPTY = hashlib.sha256(b"").digest()


def leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Iterable[bytes]) -> tuple[int, bytes]:
    """How many leaf hashes there are and the hash over all; holds no more of them than the tree is high."""
    size, whole = 0, list[tuple[int, bytes]]()  # complete subtrees from the left, each with its height
    for each in leaves:
        size, height, top = size + 1, 0, each
        while whole and whole[-1][0] == height:
            top, height = _node(whole.pop()[1], top), height + 1
        whole.append((height, top))
    if not whole:
        return 0, EMPTY
    last = whole.pop()[1]
    while whole:
        last = _node(whole.pop()[1], last)
    return size, last


def path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """The inclusion path of the leaf at `index`, from the bottom up (section 2.1.3.1)."""
    if len(leaves) <= 1:
        return []
    left = 1 << (len(leaves) - 1).bit_length() - 1
    if index < left:
        return [*path(index, leaves[:left]), root(leaves[left:])[1]]
    return [*path(index - left, leaves[left:]), root(leaves[:left])[1]]


def leads_to(top: bytes, *, entry: bytes, index: int, size: int, steps: Sequence[bytes]) -> bool:
    """Whether the path leads from this leaf hash, at `index` of `size`, to the root `top` (section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    here, last, reached = index, size - 1, entry
    for step in steps:
        if last == 0:
            return False
        if here & 1 or here == last:
            reached = _node(step, reached)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            reached = _node(reached, step)
        here, last = here >> 1, last >> 1
    return last == 0 and reached == top
