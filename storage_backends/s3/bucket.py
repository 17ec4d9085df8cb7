"""One bucket as the rest of this folder sees it: names, pages, and S3's refusals in the words of this room.

The only file that makes a client of boto3.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from storage_backends.errors import BadKey, Denied, NoSpace, ObjectNotFound, StorageError, StorageUnavailable
from storage_backends.keys import DEPTH, Key, prefix_parts

# A session reads megabytes of service descriptions for its first client; its making of clients is not thread-safe.
_SESSION_LOCK = threading.Lock()
_CONNECTIONS = 16
_CONNECT_S = 5
# How long a call may be silent, in seconds.
READ_S = 30.0
# Codes of https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and of stores that speak the protocol.
_MISSING = frozenset({"NoSuchKey", "NotFound", "404"})
_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"})
_DENIED = frozenset({"AccessDenied", "AllAccessDisabled", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403"})
_BUSY = frozenset({"SlowDown", "RequestTimeout", "RequestTimeTooSkewed", "Throttling", "OperationAborted"})
_CHANGED = frozenset({"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"})
_NOT_THERE = frozenset({"NotImplemented", "MethodNotAllowed", "501", "405"})


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """`client` is boto3's; `root` is the part of the bucket that is ours: empty, or ending with a slash."""

    client: Any
    name: str
    root: str = ""

    @classmethod
    def connect(
        cls,
        name: str,
        *,
        prefix: str = "",
        endpoint: str | None = None,
        region: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        read_s: float = READ_S,
    ) -> Self:
        """Without keys boto3 looks for them as usual: environment, files, the role of the machine.

        A call is tried three times at most, within its time limits: retry lives in the queue, as a row with a time.
        """
        config = Config(
            connect_timeout=_CONNECT_S,
            read_timeout=read_s,
            retries={"total_max_attempts": 3, "mode": "standard"},
            max_pool_connections=_CONNECTIONS,
            s3={"addressing_style": "path" if endpoint else "auto"},
            request_checksum_calculation="when_required",
        )
        with answering(), _SESSION_LOCK:
            client = _session().client(
                "s3",
                endpoint_url=endpoint,
                region_name=region,
                aws_access_key_id=access_key,
                aws_secret_access_key=secret_key,
                config=config,
            )
        bare = prefix.strip("/")
        return cls(client=client, name=name, root=f"{bare}/" if bare else "")

    def place(self, key: Key) -> dict[str, str]:
        """Bucket and name, as the parameters of a call."""
        return {"Bucket": self.name, "Key": self.root + str(key)}

    def key(self, name: str) -> Key | None:
        """None for what is not ours: it is neither listed nor harmed."""
        if not name.startswith(self.root):
            return None
        try:
            return Key.parse(name[len(self.root) :])
        except BadKey:
            return None

    def pages(self, verb: str, prefix: str, **given: str) -> Iterator[dict[str, Any]]:
        """Every page of a listing of what is `prefix` or lies below it; more may be in them (`a/10` for `a/1`)."""
        parts = prefix_parts(prefix)
        begin = self.root + "/".join(parts) + ("/" if 0 < len(parts) < DEPTH else "")
        yield from self.client.get_paginator(verb).paginate(Bucket=self.name, Prefix=begin, **given)


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def not_there(error: ClientError) -> bool:
    """Whether the store does not know this call at all."""
    return code_of(error) in _NOT_THERE


def denied(code: str) -> bool:
    return code in _DENIED


@cache
def _session() -> boto3.session.Session:
    return boto3.session.Session()


@contextmanager
def answering() -> Iterator[None]:
    """Turn what boto3 raises inside the block into errors of this room, none of which names a key or a bucket."""
    try:
        yield
    except ClientError as error:
        raise _told(error) from None
    except (BotoCoreError, OSError):  # connections, time limits, missing keys, a body cut short
        raise StorageUnavailable("the bucket did not answer; check its endpoint, keys and network") from None


def _told(error: ClientError) -> StorageError:
    code, status = code_of(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _MISSING:
        return ObjectNotFound("nothing lies under that key; it was never put, or it is erased")
    if code in _FULL or status == 507:
        return NoSpace("the bucket is full; raise its quota or free space")
    if code in _DENIED or status == 403:
        return Denied("the bucket refused; check what these keys may do there")
    if code == "NoSuchBucket":
        return StorageUnavailable("there is no such bucket; make it, or name another")
    if code in _CHANGED:
        return StorageUnavailable("the bytes changed on their way to the bucket; they are sent again")
    if code in _BUSY or status >= 500:
        return StorageUnavailable("the bucket is busy or out of order; it is tried again later")
    return StorageError(f"the bucket answered {code if code.isalnum() else status}, which was not expected")
