"""Objects in an S3 bucket: written whole or not at all, destroyed with all their versions.

boto3 is imported in this folder only.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from itertools import islice
from typing import Any, BinaryIO, TypeAlias

from storage_backends.keys import Key, prefix_parts
from storage_backends.s3 import lifecycle
from storage_backends.s3.bucket import Bucket, answering
from storage_backends.s3.erasure import BATCH, Erasure
from storage_backends.s3.probe import probe
from storage_backends.s3.upload import PART_BYTES, Upload
from storage_backends.storage import Capabilities, Erased, Place, Stat, Stored, Unfinished

__all__ = ["Bucket", "S3Storage"]
_Rules: TypeAlias = list[dict[str, Any]]


class S3Storage:
    """One bucket, or the part of it below a prefix. Safe for threads.

    `encryption` is "AES256" or "aws:kms" with `kms_key`; None leaves it to the bucket. `caches`: the
    `Cache-Control` of each object. `part_bytes`: what is longer
    goes as a multipart upload of parts of this size (5 MiB at least on AWS).
    """

    place = Place.BUCKET

    def __init__(
        self,
        name: str,
        bucket: Bucket,
        *,
        encryption: str | None = None,
        kms_key: str | None = None,
        caches: str | None = None,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self.name = name
        self._bucket = bucket
        self._part_bytes = part_bytes
        given = {"ServerSideEncryption": encryption, "SSEKMSKeyId": kms_key, "CacheControl": caches}
        self._sealed = {name: value for name, value in given.items() if value}
        self._lock = threading.Lock()
        self._probed: Capabilities | None = None

    def capabilities(self) -> Capabilities:
        """What the bucket really does, tried once with canaries below class `scratch` that are erased again."""
        with self._lock:
            if self._probed is None:
                self._probed = probe(self._bucket)
            return self._probed

    def put(self, key: Key, chunks: Iterable[bytes], *, most_bytes: int | None = None) -> Stored:
        place = self._bucket.place(key)
        upload = Upload(client=self._bucket.client, place=place, sealed=self._sealed, part_bytes=self._part_bytes)
        try:
            for chunk in chunks:
                upload.add(chunk, most_bytes)
            return upload.finish()
        except BaseException:
            upload.abort()
            raise

    def open(self, key: Key) -> BinaryIO:
        with answering():
            answer = self._bucket.client.get_object(**self._bucket.place(key), ChecksumMode="ENABLED")
        return io.BufferedReader(_Body(answer["Body"]), 1 << 20)

    def stat(self, key: Key) -> Stat:
        with answering():
            answer = self._bucket.client.head_object(**self._bucket.place(key))
        return Stat(key=key, bytes=answer["ContentLength"], modified_at=answer["LastModified"].astimezone(UTC))

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[Stat]:
        return self._entries(prefix_parts(prefix), after)

    def unfinished(self, prefix: str = "") -> Iterator[Unfinished]:
        for key, entry in self._found("list_multipart_uploads", "Uploads", prefix_parts(prefix)):
            yield Unfinished(key=key, begun_at=entry["Initiated"].astimezone(UTC))

    def erase(self, keys: Iterable[Key]) -> Iterator[Erased]:
        rest = iter(keys)
        while batch := list(islice(rest, BATCH)):
            outcomes = Erasure(bucket=self._bucket, keys=batch).run()
            yield from (outcomes[key] for key in batch)

    def net(self, days_by_class: Mapping[str, int], *, apply: bool) -> tuple[_Rules, _Rules]:
        """The expiry rules that would erase everything without us, and those that are set now; `apply` sets them."""
        wanted = lifecycle.rules(self._bucket, days_by_class)
        return wanted, lifecycle.write(self._bucket, wanted) if apply else lifecycle.read(self._bucket)

    def link(self, key: Key, *, seconds: int, media_type: str, name: str) -> str:
        """An address at which anybody may read the object for so long; it is served under a name of ours."""
        said = {"ResponseContentType": media_type, "ResponseContentDisposition": f'inline; filename="{name}"'}
        with answering():
            return str(
                self._bucket.client.generate_presigned_url(
                    "get_object", Params={**self._bucket.place(key), **said}, ExpiresIn=seconds
                )
            )

    def _entries(self, parts: tuple[str, ...], after: str) -> Iterator[Stat]:
        begin = {"StartAfter": self._bucket.root + after} if after else {}
        for key, entry in self._found("list_objects_v2", "Contents", parts, **begin):
            yield Stat(key=key, bytes=entry["Size"], modified_at=entry["LastModified"].astimezone(UTC))

    def _found(
        self, verb: str, field: str, parts: tuple[str, ...], **given: str
    ) -> Iterator[tuple[Key, dict[str, Any]]]:
        with answering():
            for page in self._bucket.pages(verb, "/".join(parts), **given):
                for entry in page.get(field, ()):
                    key = self._bucket.key(entry["Key"])
                    if key is not None and key.parts[: len(parts)] == parts:
                        yield key, entry


class _Body(io.RawIOBase):
    """The answer's body as a raw stream, its failures in the words of this room."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with answering():
            got = self._body.read(len(buffer))
        buffer[: len(got)] = got
        return len(got)

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()
