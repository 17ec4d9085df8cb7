"""Opens any picture's pixels up: palettes, grey, 16 bit, alpha, and shuts again without the colour that alpha hides.

What the colours mean is `worker.media.colours`' business. Runs in the jail only.
"""

from __future__ import annotations

from PIL import Image, ImageChops, ImageMath

from worker.media.codes import unprocessable

# Pixel modes after `opened`: the ones that can be resized without mixing in what lies under transparency.
_OPEN_AS = {
    "1": "L",
    "L": "L",
    "LA": "La",
    "La": "La",
    "RGB": "RGB",
    "RGBX": "RGB",
    "RGBA": "RGBa",
    "RGBa": "RGBa",
    "CMYK": "CMYK",
    "LAB": "LAB",
    "YCbCr": "RGB",
    "HSV": "RGB",
    "F": "L",
}
_CLOSED = {"La": "LA", "RGBa": "RGBA"}


def open_mode(image: Image.Image) -> str:
    """The working mode that `opened` gives; raises `Unprocessable` (`unsupported_codec`) for pixels without one."""
    if image.mode in ("P", "PA"):
        return "RGBa" if image.has_transparency_data else "RGB"
    if image.mode.startswith("I"):
        return "La" if "transparency" in image.info else "L"
    mode = _OPEN_AS.get(image.mode)
    if mode is None:
        raise unprocessable("unsupported_codec")
    if "transparency" in image.info and mode in ("L", "RGB"):
        return "La" if mode == "L" else "RGBa"
    return mode


def opened(image: Image.Image, mode: str) -> Image.Image:
    """A piece of a picture in its working mode; alpha is premultiplied, 16 bit scaled down, never clipped."""
    if image.mode.startswith("I"):
        return _from_16_bit(image, mode)
    if mode == "La":
        return image.convert("LA").convert("La")
    if mode == "RGBa":
        return _with_alpha(image).convert("RGBa")
    return image if image.mode == mode else image.convert(mode)


def closed(image: Image.Image) -> Image.Image:
    """Back from premultiplied alpha."""
    return image.convert(_CLOSED[image.mode]) if image.mode in _CLOSED else image


def without_hidden(image: Image.Image) -> Image.Image:
    """RGB where every pixel is opaque; else RGBA with the colour under alpha 0 made black."""
    if image.mode != "RGBA":
        return image
    alpha = image.getchannel("A")
    lowest, _highest = alpha.getextrema()
    if lowest == 255:
        return image.convert("RGB")
    if lowest != 0:
        return image
    seen = alpha.point([0] + [255] * 255)
    bands = [ImageChops.multiply(band, seen) for band in image.split()[:3]]
    return Image.merge("RGBA", [*bands, alpha])


def _with_alpha(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and max(image.info.get("transparency", (0,))) > 255:
        # The key of a 16-bit picture, of which the decoder kept the high bytes.
        image.info["transparency"] = tuple(value >> 8 for value in image.info["transparency"])
    return image.convert("RGBA")


def _from_16_bit(image: Image.Image, mode: str) -> Image.Image:
    # Dividing by 257 maps 65,535 to 255 exactly; half a step rounds instead of cutting.
    wide = image if image.mode == "I" else image.convert("I")
    grey = wide.point(lambda value: value * (1 / 257) + 0.5).convert("L")
    if mode != "La":
        return grey
    key = image.info.get("transparency", -1)
    solid = ImageMath.lambda_eval(lambda args: args["convert"]((args["a"] != key) * 255, "L"), a=wide)
    grey.putalpha(solid)
    return grey.convert("La")
