"""Animations keep their frames, their times and their loop; what is no frame is left out."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pytest
from PIL import Image, ImageSequence

from tests import pieces, samples
from tests.darkroom import Darkroom, near, opened, rendition
from worker.errors import Unprocessable
from worker.media.rendered import Made, Rendered


def frames_of(made: Made) -> list[tuple[Image.Image, int]]:
    assert made.body is not None
    image = Image.open(io.BytesIO(made.body))
    return [(frame.convert("RGBA"), int(frame.info.get("duration", 0))) for frame in ImageSequence.Iterator(image)]


def loops(made: Made) -> int:
    assert made.body is not None
    return int(Image.open(io.BytesIO(made.body)).info["loop"])


def gif(frames: Sequence[Image.Image], **more: Any) -> bytes:
    body = io.BytesIO()
    frames[0].save(body, "GIF", save_all=True, append_images=frames[1:], **more)
    return body.getvalue()


def coloured(*colours: tuple[int, ...], size: tuple[int, int] = (60, 40)) -> list[Image.Image]:
    return [Image.new("RGB", size, colour) for colour in colours]


def durations(rendered: Rendered, name: str = "display") -> list[int]:
    return [duration for _, duration in frames_of(rendition(rendered, name))]


def test_a_gif_keeps_frames_times_and_clear_ground(darkroom: Darkroom) -> None:
    data = samples.animated_gif(5)

    rendered = darkroom.render(data)

    assert (rendered.facts.frames, rendered.facts.duration_ms) == (5, 40 + 80 + 120 + 160 + 200)
    for name in ("display", "thumb"):
        assert durations(rendered, name) == [40, 80, 120, 160, 200]
        for number, (frame, _) in enumerate(frames_of(rendition(rendered, name))):
            assert near(frame.getpixel((number * 12 + 15, 30)), (250, 60, 20, 255), 40)
            # Disposal: where the square was before there is clear ground again.
            assert frame.getpixel(((number * 12 + 60) % 120, 70)) == (0, 0, 0, 0)
            assert number == 0 or frame.getpixel((2, 30))[3] == 0  # type: ignore[index]
        assert rendition(rendered, name).duration_ms == 600
    assert rendition(rendered, "share").media_type == "image/png"
    assert rendition(rendered, "share").duration_ms is None


@pytest.mark.parametrize(("said", "played"), [(0, 0), (None, 1), (1, 2), (4, 5), (65_535, 65_535)])
def test_a_gif_is_played_as_often_as_it_says(darkroom: Darkroom, said: int | None, played: int) -> None:
    data = samples.animated_gif(3, loop=said)

    rendered = darkroom.render(data)

    assert loops(rendition(rendered, "display")) == played


@pytest.mark.parametrize(
    ("maker", "frames", "shown", "played"), [(samples.apng, 4, 70, 3), (samples.animated_webp, 4, 90, 2)]
)
def test_apng_and_webp_keep_frames_times_and_loop(
    darkroom: Darkroom, maker: Any, frames: int, shown: int, played: int
) -> None:
    rendered = darkroom.render(maker(frames))

    assert durations(rendered) == [shown] * frames
    assert loops(rendition(rendered, "display")) == played
    last = frames_of(rendition(rendered, "display"))[-1][0]
    assert near(last.getpixel((3 * 9 + 10, 20))[:3], (250, 220, 0), 40)  # type: ignore[index]


def test_an_animated_avif_keeps_its_frames(darkroom: Darkroom) -> None:
    body, frames = io.BytesIO(), coloured((250, 0, 0), (0, 200, 0), (0, 0, 220))
    frames[0].save(body, "AVIF", save_all=True, append_images=frames[1:], duration=120, speed=10)

    rendered = darkroom.render(body.getvalue())

    assert durations(rendered) == [120, 120, 120]
    assert rendition(rendered, "share").media_type == "image/jpeg"


def test_frames_that_do_not_differ_are_one_that_is_shown_longer(darkroom: Darkroom) -> None:
    frames = coloured((9, 9, 9), (9, 9, 9), (200, 9, 9), (9, 9, 9))
    apng = io.BytesIO()
    frames[0].save(apng, "PNG", save_all=True, append_images=frames[1:], duration=[50, 60, 70, 80])

    rendered = darkroom.render(apng.getvalue())

    assert durations(rendered) == [110, 70, 80]
    assert rendered.facts.duration_ms == 260


def test_a_change_of_alpha_alone_is_a_change(darkroom: Darkroom) -> None:
    frames = [Image.new("RGBA", (40, 40), (0, 0, 0, alpha)) for alpha in (255, 0, 255)]
    body = io.BytesIO()
    frames[0].save(body, "WEBP", save_all=True, append_images=frames[1:], duration=50, lossless=True)

    rendered = darkroom.render(body.getvalue())

    assert [frame.getpixel((20, 20))[3] for frame, _ in frames_of(rendition(rendered, "display"))] == [255, 0, 255]  # type: ignore[index]
    assert darkroom.prove(rendition(rendered, "display").body or b"", "image/webp")


def test_the_default_image_of_an_apng_that_is_no_frame_is_hidden_and_left_out(darkroom: Darkroom) -> None:
    frames = coloured((200, 0, 0), (0, 200, 0), (0, 0, 200))
    body = io.BytesIO()
    frames[0].save(body, "PNG", save_all=True, append_images=frames[1:], duration=50, default_image=True)

    rendered = darkroom.render(body.getvalue())

    assert rendered.facts.removed["second_picture"] == 1
    assert rendered.facts.frames == 2
    for made in rendered.made:
        assert near(opened(made).convert("RGB").getpixel((20, 20)), (0, 200, 0), 30), made.name


def test_a_large_animation_is_shrunk_frame_by_frame(darkroom: Darkroom) -> None:
    data = gif(coloured((250, 0, 0), (0, 0, 250), size=(2500, 1000)), duration=50, loop=0)

    rendered = darkroom.render(data)

    sizes = {made.name: (made.width, made.height) for made in rendered.made}
    assert sizes == {"display": (2048, 819), "share": (2048, 819), "thumb": (320, 128)}
    assert all(frame.size == (320, 128) for frame, _ in frames_of(rendition(rendered, "thumb")))


def test_a_gif_of_one_frame_is_a_still(darkroom: Darkroom) -> None:
    rendered = darkroom.render(gif(coloured((10, 200, 30))))

    assert (rendered.facts.frames, rendered.facts.duration_ms) == (1, None)
    assert rendition(rendered, "display").body[12:16] == b"VP8 "  # type: ignore[index]


def test_a_frame_that_reaches_over_the_canvas_is_cut_there(darkroom: Darkroom) -> None:
    """The canvas grew in the decoder, and the answer then told two sizes."""
    head = b"GIF89a" + b"\x0a\0\x0a\0\x80\0\0" + b"\xff\0\0\0\0\xff"
    small, large = _one_colour(10, 10, 0), _one_colour(15, 15, 1)

    rendered = darkroom.render(head + small + large + b"\x3b")

    assert (rendered.facts.width, rendered.facts.height, rendered.facts.frames) == (10, 10, 2)
    assert near(frames_of(rendition(rendered, "display"))[1][0].getpixel((9, 9)), (0, 0, 255, 255), 60)


def _one_colour(width: int, height: int, index: int) -> bytes:
    """A GIF frame at the corner of the canvas, uncompressed: a clear code before each two pixels."""
    codes: list[int] = []
    for _ in range(width * height):
        codes += [4, index]
    bits = sum(code << 3 * place for place, code in enumerate([*codes, 5]))
    data = bits.to_bytes((3 * (len(codes) + 1) + 7) // 8, "little")
    blocks = b"".join(bytes((len(data[at : at + 255]),)) + data[at : at + 255] for at in range(0, len(data), 255))
    control = b"\x21\xf9\4\0\5\0\0\0"
    place = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    return control + b"\x2c\0\0\0\0" + place + b"\0\x02" + blocks + b"\0"


def test_an_animation_whose_later_frame_is_broken_is_refused_whole(darkroom: Darkroom) -> None:
    chunks = pieces.riff_chunks(samples.animated_webp(4))
    last = [*chunks[:-1], (b"ANMF", chunks[-1][1][:24] + bytes(len(chunks[-1][1]) - 24))]

    with pytest.raises(Unprocessable) as refusal:
        darkroom.render(pieces.webp_of(*(pieces.riff(kind, body) for kind, body in last)))

    assert refusal.value.code == "corrupt"
