"""Second readers of rewritten originals, one a format: the camera's samples and tables, and nothing beside them.

They know what `worker.media.lossless` may write, by its documentation and not by its code: each walks the file with a
parser of its own, and finds hidden tails by decoding. WebP has the reader of all renditions, which asks no settings of
an encoder.
"""

from __future__ import annotations

from collections.abc import Callable

from worker.media.proof import webp
from worker.media.proof.rewritten import gif, jpeg, png

READERS: dict[str, Callable[[bytes], None]] = {
    "image/jpeg": jpeg.check,
    "image/png": png.check,
    "image/webp": webp.check,
    "image/gif": gif.check,
}
