"""The largest pictures that the default limits promise to take pass within the jail's limits, and one more does not."""

from __future__ import annotations

import pytest

from tests import bombs, samples
from tests.bench import large
from tests.darkroom import LIMITS, Darkroom
from tests.processes import MIB
from worker.errors import Unprocessable
from worker.media.limits import MediaLimits

pytestmark = [pytest.mark.slow, pytest.mark.wide]

# WebP needs the most memory of all, JPEG is what phones make; the others take long to make.
RARE = {"png RGBA", "heic"}
GOOD = {
    "jpeg": lambda: samples.photo(image=samples.scene(8_000, 8_000, grain=False)),
    "png RGBA": lambda: bombs.png_of_zeros(8_000, 8_000, colour=6),
    "webp": lambda: bombs.webp_claiming(8_000, 8_000),
    "heic": large.KINDS["heic"],
}


@pytest.mark.parametrize("kind", GOOD)
def test_sixty_four_megapixels_and_fifty_megabytes_are_taken(
    darkroom: Darkroom, kind: str, pytestconfig: pytest.Config
) -> None:
    if kind in RARE and not pytestconfig.getoption("whole_corpus"):
        pytest.skip("takes long to make; run with --whole-corpus")
    data = large.padded(GOOD[kind](), LIMITS.image_bytes)
    assert len(data) == 50_000_000

    rendered = darkroom.render(data)

    assert (rendered.facts.width, rendered.facts.height) == (8_000, 8_000)
    assert (rendered.made[0].width, rendered.made[0].height) == (2_048, 2_048)
    assert rendered.peak_rss < 1_300 * MIB
    assert rendered.cpu_s < LIMITS.image_cpu_s / 2
    for made in rendered.made:
        assert darkroom.prove(made.body or b"", made.media_type).sha256 == made.sha256


def test_one_byte_or_one_row_more_is_refused(darkroom: Darkroom) -> None:
    for data, code in (
        (large.padded(samples.photo((64, 48)), LIMITS.image_bytes + 1), "limits:bytes"),
        (bombs.png_of_zeros(8_000, 8_001), "limits:pixels"),
    ):
        with pytest.raises(Unprocessable) as refusal:
            darkroom.render(data)
        assert refusal.value.code == code


def test_the_jail_grows_with_the_limits() -> None:
    larger = MediaLimits(pixels=200_000_000)

    assert larger.image_address_space > LIMITS.image_address_space
    assert larger.image_cpu_s > LIMITS.image_cpu_s
    assert LIMITS.image_cpu_s < LIMITS.image_wall_s < 60  # a picture's task has 60 s
