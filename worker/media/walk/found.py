"""What a walker hands back: size, frames, and the carriers of metadata that it met, in the order of the file."""

from __future__ import annotations

from dataclasses import dataclass, field

# The most bytes of one carrier that are looked into; the rest can only repeat a kind that was counted.
LOOK_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """One place where metadata can lie. `form` names its syntax, `data` is its payload (bounded)."""

    form: str
    data: bytes = b""


@dataclass(kw_only=True)
class Walked:
    """Filled while walking. `width` and `height` in pixels as stored, before orientation.

    `frames` counts those of an animation (1 for a still); `loop` as the format says it.
    """

    width: int = 0
    height: int = 0
    frames: int = 1
    carriers: list[Carrier] = field(default_factory=list)

    def add(self, form: str, data: bytes | memoryview = b"") -> None:
        self.carriers.append(Carrier(form=form, data=bytes(data[:LOOK_BYTES])))
