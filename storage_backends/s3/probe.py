"""What a bucket really does, tried with canaries below class `scratch`: no answer about itself is believed.

A store may say that it has no versions and keep them, or list none (Garage's GetBucketVersioning is a stub).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from storage_backends.keys import Key
from storage_backends.s3.bucket import Bucket, answering, code_of
from storage_backends.s3.erasure import Erasure
from storage_backends.storage import Capabilities


def probe(bucket: Bucket) -> Capabilities:
    """Puts one key twice, tags it, looks for the two versions, and erases it. Raises what a put raises."""
    key = Key(retention_class="scratch", app="probe", upload_id=f"probe-{secrets.token_hex(8)}", artifact_id="canary")
    place, erasure = bucket.place(key), Erasure(bucket=bucket, keys=[key])
    with answering():
        bucket.client.put_object(**place, Body=b"1")
        bucket.client.put_object(**place, Body=b"2")
    try:
        with answering():
            items = erasure.versions("/".join(key.parts[:-1]))
        tags = {"TagSet": [{"Key": "probe", "Value": "1"}]}
        tagging = _works(lambda: bucket.client.put_object_tagging(**place, Tagging=tags))
    finally:
        (erased,) = erasure.run().values()
    return Capabilities(
        versioning=len(items) > 1,
        versions_listed=erasure.versions_listed,
        version_deletes=erased.observation is not None,
        object_lock=_works(lambda: bucket.client.get_object_lock_configuration(Bucket=bucket.name)),
        tagging=tagging,
        lifecycle=_works(
            lambda: bucket.client.get_bucket_lifecycle_configuration(Bucket=bucket.name),
            "NoSuchLifecycleConfiguration",
        ),
    )


def _works(call: Callable[[], Any], *but: str) -> bool:
    """Whether the store answers a call, or refuses it with one of the codes `but`, which mean that it knows it."""
    try:
        call()
    except ClientError as error:
        return code_of(error) in but
    except BotoCoreError:
        return False
    return True
