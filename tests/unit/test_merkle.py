"""The Merkle tree of RFC 9162 against the known roots of Certificate Transparency, and every path of small trees."""

from __future__ import annotations

import hashlib

import pytest

from worker.privacy import merkle

# The entries and roots that Certificate Transparency implementations test with.
ENTRIES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [merkle.leaf(hashlib.sha256(bytes([n])).digest()) for n in range(33)]


@pytest.mark.parametrize("size", range(len(ROOTS)))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    counted, top = merkle.root(merkle.leaf(entry) for entry in ENTRIES[:size])
    assert (counted, top.hex()) == (size, ROOTS[size])


@pytest.mark.parametrize("size", range(1, len(LEAVES) + 1))
def test_every_path_leads_to_the_root_and_to_no_other(size: int) -> None:
    leaves = LEAVES[:size]
    _size, top = merkle.root(leaves)
    for index, entry in enumerate(leaves):
        steps = merkle.path(index, leaves)
        assert merkle.leads_to(top, entry=entry, index=index, size=size, steps=steps)
        other = merkle.leaf(b"another")
        assert not merkle.leads_to(top, entry=other, index=index, size=size, steps=steps)
        assert not merkle.leads_to(other, entry=entry, index=index, size=size, steps=steps)
        assert not merkle.leads_to(top, entry=entry, index=index, size=size, steps=[*steps, other])
        assert not merkle.leads_to(top, entry=entry, index=index, size=index, steps=steps)
        for wrong in {index ^ 1, (index + 1) % size} - {index}:
            assert not merkle.leads_to(top, entry=entry, index=wrong, size=size, steps=steps)
        if steps:
            assert not merkle.leads_to(top, entry=entry, index=index, size=size, steps=steps[:-1])


def test_a_node_cannot_pass_for_a_leaf() -> None:
    left, right = LEAVES[:2]
    _size, top = merkle.root([left, right])
    assert merkle.leaf(left + right) != top
