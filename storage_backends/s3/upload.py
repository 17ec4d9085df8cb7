"""One object on its way into a bucket: in one piece while it fits into a part, else as a multipart upload."""

from __future__ import annotations

import base64
import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from storage_backends.errors import StorageUnavailable, TooLarge
from storage_backends.s3.bucket import answering
from storage_backends.storage import Stored

# 10,000 parts are allowed, so 8 MiB each take files of 78 GiB.
PART_BYTES = 8 << 20
_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(kw_only=True)
class Upload:
    """`place` and `sealed` are parameters of every call: bucket and name, and how the object is encrypted there and
    what caches are told.

    Each piece carries its SHA-256, which the store checks; `abort` leaves nothing behind where the store answers.
    """

    client: Any
    place: dict[str, str]
    sealed: dict[str, str]
    part_bytes: int = PART_BYTES
    _id: str | None = None
    _count: int = 0
    _buffer: bytearray = field(default_factory=bytearray)
    _hashed: hashlib._Hash = field(default_factory=hashlib.sha256)
    _parts: list[dict[str, Any]] = field(default_factory=list)

    def add(self, chunk: bytes, most_bytes: int | None) -> None:
        """Raises `TooLarge`, and what a full or absent store raises."""
        self._count += len(chunk)
        if most_bytes is not None and self._count > most_bytes:
            raise TooLarge(f"the stream is longer than its limit of {most_bytes} bytes; send a smaller one")
        self._hashed.update(chunk)
        self._buffer += chunk
        # Only when more than a part is there, so that the last part is never empty.
        while len(self._buffer) > self.part_bytes:
            with answering():
                self._send(bytes(self._buffer[: self.part_bytes]))
            del self._buffer[: self.part_bytes]

    def finish(self) -> Stored:
        """The object is there when this returns, and not before."""
        body = bytes(self._buffer)
        with answering():
            if self._id is None:
                answer = self.client.put_object(**self.place, **self.sealed, Body=body, ChecksumSHA256=_checksum(body))
                self._arrived(body, answer)
            else:
                self._send(body)
                done = {"Parts": self._parts}
                self.client.complete_multipart_upload(**self.place, UploadId=self._id, MultipartUpload=done)
                self._id = None
        return Stored(bytes=self._count, sha256=self._hashed.hexdigest())

    def abort(self) -> None:
        """Where the store does not answer now, the erasure of the key finds what is left and aborts it later."""
        if self._id is not None:
            with suppress(ClientError, BotoCoreError, OSError):
                self.client.abort_multipart_upload(**self.place, UploadId=self._id)

    def _arrived(self, body: bytes, answer: dict[str, Any]) -> None:
        try:
            _compare(body, answer)
        except StorageUnavailable:
            named = {"VersionId": answer["VersionId"]} if "VersionId" in answer else {}
            with suppress(ClientError, BotoCoreError, OSError):
                self.client.delete_object(**self.place, **named)
            raise

    def _send(self, body: bytes) -> None:
        if self._id is None:
            begun = self.client.create_multipart_upload(**self.place, **self.sealed, ChecksumAlgorithm="SHA256")
            self._id = begun["UploadId"]
        number, checksum = len(self._parts) + 1, _checksum(body)
        sent = self.client.upload_part(
            **self.place, UploadId=self._id, PartNumber=number, Body=body, ChecksumSHA256=checksum
        )
        _compare(body, sent)
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": checksum})


def _compare(body: bytes, answer: dict[str, Any]) -> None:
    """Not every store checks the hash that we send. What it says of the bytes that it got must fit ours: their
    SHA-256, or as their tag the MD5, which it is unless a key service encrypts them
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html)."""
    tag = str(answer.get("ETag", "")).strip('"')
    if answer.get("ChecksumSHA256") is not None:
        same = answer["ChecksumSHA256"] == _checksum(body)
    elif _MD5.fullmatch(tag) and not str(answer.get("ServerSideEncryption", "")).startswith("aws:kms"):
        same = tag == hashlib.md5(body, usedforsecurity=False).hexdigest()
    else:
        same = True
    if not same:
        raise StorageUnavailable("the bytes changed on their way to the bucket; they are sent again")


def _checksum(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()
