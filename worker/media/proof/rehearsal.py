"""Judges a small picture of each type before any child is locked in, so that no library or table is loaded late."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping

from PIL import Image

from worker.media.proof import native
from worker.media.proof.doubt import Doubt

# How Pillow makes what the readers take; in whose mode.
_SAVED: dict[str, tuple[str, dict[str, object]]] = {
    "image/jpeg": ("RGB", {"quality": 85, "subsampling": "4:2:0"}),
    "image/png": ("RGBA", {}),
    "image/webp": ("RGBA", {"quality": 80, "exact": True}),
    "image/avif": ("RGBA", {"quality": 75, "speed": 10, "max_threads": 1}),
}


def rehearse(readers: Mapping[str, Callable[[bytes], None]]) -> None:
    """A library that is not there, and a reader that doubts, have their say when a file comes."""
    clear = Image.new("RGBA", (64, 64))
    clear.paste((200, 30, 30, 255), (0, 0, 40, 40))
    for media_type, (mode, how) in _SAVED.items():
        body = io.BytesIO()
        clear.convert(mode).save(body, media_type.partition("/")[2].upper(), **how)
        with contextlib.suppress(Doubt, native.Missing):
            readers[media_type](body.getvalue())
