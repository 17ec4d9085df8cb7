"""A real S3 protocol server on a free loopback port, and buckets of each kind in it.

`MAYFLY_TEST_S3_ENDPOINT` (with `MAYFLY_TEST_S3_ACCESS_KEY`, `MAYFLY_TEST_S3_SECRET_KEY`) names another server to use.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config

from storage_backends.s3 import S3Storage
from storage_backends.s3.bucket import Bucket
from tests.servers import free_port, listens, until

KINDS = ("plain", "versioned", "locked")
# The smallest part that S3 takes but for the last.
PART = 5 << 20
_NUMBERS = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class S3Server:
    """Where it listens, and keys that it takes."""

    endpoint: str
    access_key: str = "test"
    secret_key: str = field(default="test", repr=False)

    @cached_property
    def client(self) -> Any:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def bucket(self, kind: str) -> str:
        """A fresh bucket: `plain`, `versioned`, or `locked` (versions, and Object Lock without a default)."""
        name = f"mayfly-{kind}-{next(_NUMBERS)}-{secrets.token_hex(4)}"
        client = self.client
        client.create_bucket(Bucket=name, **({"ObjectLockEnabledForBucket": True} if kind == "locked" else {}))
        if kind == "versioned":
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def connect(self, bucket: str, *, prefix: str = "", through: str | None = None, read_s: float = 20.0) -> Bucket:
        """As Mayfly connects; `through` is the address of a proxy before the server."""
        return Bucket.connect(
            bucket,
            prefix=prefix,
            endpoint=through or self.endpoint,
            read_s=read_s,
            region="us-east-1",
            access_key=self.access_key,
            secret_key=self.secret_key,
        )

    def storage(self, kind: str, *, prefix: str = "", part_bytes: int = PART) -> S3Storage:
        """A backend on a fresh bucket."""
        return S3Storage(kind, self.connect(self.bucket(kind), prefix=prefix), part_bytes=part_bytes)


@contextlib.contextmanager
def s3_server(environment: Mapping[str, str]) -> Iterator[S3Server]:
    """moto's server, or the one that `MAYFLY_TEST_S3_…` in `environment` name."""
    if endpoint := environment.get("MAYFLY_TEST_S3_ENDPOINT"):
        yield S3Server(
            endpoint=endpoint,
            access_key=environment["MAYFLY_TEST_S3_ACCESS_KEY"],
            secret_key=environment["MAYFLY_TEST_S3_SECRET_KEY"],
        )
        return
    port, quiet = free_port(), subprocess.DEVNULL
    argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        until(lambda: process.poll() is not None or listens(port), what="the S3 server")
        yield S3Server(endpoint=f"http://127.0.0.1:{port}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
