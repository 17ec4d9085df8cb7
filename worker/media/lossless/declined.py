"""Why a picture cannot be rewritten without loss: a code of `worker.media.codes.LEFT_OUT`; the upload goes on."""

from __future__ import annotations


class Declined(Exception):
    """`code` is one of `LEFT_OUT`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
