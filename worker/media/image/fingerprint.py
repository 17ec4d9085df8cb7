"""What is computed from the pixels of a picture: the placeholder shown while it loads. Runs in the jail only."""

from __future__ import annotations

import base64

import thumbhash
from PIL import Image, ImageStat

# The hash keeps at most 7 x 7 waves, so a picture of this side tells it all there is; its cost grows with the square.
_SIDE = 32


def placeholder(image: Image.Image) -> str:
    """The thumbhash of an RGB or RGBA picture, in base64 (some 25 bytes before)."""
    small = image.copy()
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    if small.mode == "RGBA":
        # The library's own alpha branch raises (thumbhash 0.1.2), so what is transparent gets the mean colour.
        seen = ImageStat.Stat(small.convert("RGB"), mask=small.getchannel("A"))
        ground = Image.new("RGB", small.size, tuple(map(round, seen.mean)) if seen.count[0] else 0)
        ground.paste(small, mask=small)
        small = ground
    rgba = small.convert("RGBA")
    made = thumbhash.rgba_to_thumb_hash(rgba.width, rgba.height, list(rgba.tobytes()))
    return base64.b64encode(bytes(made)).decode("ascii")
