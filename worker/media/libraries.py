"""The system libraries by which the second reader decodes: other builds than those that came with the encoders."""

from __future__ import annotations

# Debian's package of each, which is what an operator has to install.
PACKAGES: dict[str, str] = {"libwebp.so.7": "libwebp7", "libturbojpeg.so.0": "libturbojpeg0"}
