"""Expiry rules of a bucket by prefix, beside rules of others, which are left as they are.

One rule expires what is current and, a day later, what is not, and aborts uploads; a second one removes markers with
nothing below them, since S3 takes that and a number of days in different rules only
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from storage_backends.s3.bucket import Bucket, answering, code_of

_MINE = "mayfly-"


def rules(bucket: Bucket, days_by_class: Mapping[str, int]) -> list[dict[str, Any]]:
    """The rules as S3's own documents."""
    made: list[dict[str, Any]] = []
    for name, days in days_by_class.items():
        where = {"Filter": {"Prefix": f"{bucket.root}{name}/"}, "Status": "Enabled"}
        made.append(
            {
                "ID": f"{_MINE}{name}",
                **where,
                "Expiration": {"Days": days},
                "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
            }
        )
        made.append({"ID": f"{_MINE}{name}-markers", **where, "Expiration": {"ExpiredObjectDeleteMarker": True}})
    return made


def read(bucket: Bucket) -> list[dict[str, Any]]:
    """The rules that are set now, ours and others'."""
    with answering():
        try:
            answer = bucket.client.get_bucket_lifecycle_configuration(Bucket=bucket.name)
        except ClientError as error:
            if code_of(error) == "NoSuchLifecycleConfiguration":
                return []
            raise
    return list(answer.get("Rules", ()))


def write(bucket: Bucket, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Set our rules, keep the others; returns what is set afterwards, as the bucket says it."""
    others = [rule for rule in read(bucket) if not str(rule.get("ID", "")).startswith(_MINE)]
    with answering():
        bucket.client.put_bucket_lifecycle_configuration(
            Bucket=bucket.name, LifecycleConfiguration={"Rules": [*others, *wanted]}
        )
    return read(bucket)
