"""A bucket: what S3 calls deleted and is not, locks, unfinished uploads, and a server that fails."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from storage_backends.errors import Denied, ObjectNotFound, StorageUnavailable, TooLarge
from storage_backends.keys import Key
from storage_backends.s3 import S3Storage
from storage_backends.storage import Erased, Method, Observation
from tests.buckets import PART, S3Server
from tests.faults import Call, FaultyS3, Reply, faulty, refusal

pytestmark = [pytest.mark.slow, pytest.mark.wide]

KEY = Key.parse("original/shop/upl_1/art_1")
NEIGHBOUR = Key.parse("original/shop/upl_1/art_10")


def keys(count: int) -> list[Key]:
    return [Key.parse(f"rendition/shop/upl_{number // 100}/art_{number:05}") for number in range(count)]


def erase(storage: S3Storage, *doomed: Key) -> list[Erased]:
    return list(storage.erase(doomed))


def names(server: S3Server, bucket: str) -> list[tuple[str, str]]:
    """Everything that lies in a bucket: versions, markers, unfinished uploads."""
    client = server.client
    versions = client.list_object_versions(Bucket=bucket)
    found = [(kind, entry["Key"]) for kind in ("Versions", "DeleteMarkers") for entry in versions.get(kind, ())]
    uploads = client.list_multipart_uploads(Bucket=bucket)
    return found + [("Uploads", entry["Key"]) for entry in uploads.get("Uploads", ())]


@pytest.fixture(params=["plain", "versioned"])
def bucket(request: pytest.FixtureRequest, s3: S3Server) -> str:
    return s3.bucket(request.param)


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultyS3]:
    with faulty(s3.endpoint) as made:
        yield made


def test_a_large_file_goes_in_parts_and_comes_back(s3: S3Server, bucket: str) -> None:
    storage = S3Storage("s3", s3.connect(bucket), part_bytes=PART)
    body = bytes(range(256)) * 50_000  # 12.8 MB: three parts

    stored = storage.put(KEY, (body[i : i + 1_000_003] for i in range(0, len(body), 1_000_003)))

    assert (stored.bytes, stored.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    with storage.open(KEY) as stream:
        assert stream.read() == body
    assert s3.client.head_object(Bucket=bucket, Key=str(KEY))["ETag"].strip('"').endswith("-3")


@pytest.mark.parametrize("failure", [TooLarge, ConnectionResetError])
def test_a_large_put_that_breaks_off_leaves_no_part(s3: S3Server, bucket: str, failure: type[Exception]) -> None:
    storage = S3Storage("s3", s3.connect(bucket), part_bytes=PART)

    def chunks() -> Iterator[bytes]:
        for _ in range(9):
            yield bytes(1 << 20)
        if failure is ConnectionResetError:
            raise ConnectionResetError
        yield bytes(2 << 20)

    with pytest.raises(failure):
        storage.put(KEY, chunks(), most_bytes=10 << 20)

    assert names(s3, bucket) == []


def test_an_unfinished_upload_is_found_and_erased_with_its_key(s3: S3Server, bucket: str) -> None:
    # Given an upload that a dead process began, and one of a neighbour
    storage, client = S3Storage("s3", s3.connect(bucket)), s3.client
    for key in (KEY, NEIGHBOUR):
        begun = client.create_multipart_upload(Bucket=bucket, Key=str(key))
        client.upload_part(Bucket=bucket, Key=str(key), UploadId=begun["UploadId"], PartNumber=1, Body=b"half a face")
    assert [found.key for found in storage.unfinished("original/shop/upl_1")] == [KEY, NEIGHBOUR]
    assert list(storage.list()) == []
    assert [found.key for found in storage.unfinished(str(KEY))] == [KEY]

    # When one key is erased, Then its upload is gone and the neighbour's is not
    (erased,) = erase(storage, KEY)
    assert (erased.removed, erased.unfinished, erased.blocked) == (1, 1, None)
    assert names(s3, bucket) == [("Uploads", str(NEIGHBOUR))]


def test_every_version_and_marker_of_a_key_goes_and_no_other(s3: S3Server) -> None:
    # Given three versions, a marker on top, and a neighbour whose name begins the same
    bucket = s3.bucket("versioned")
    storage, client = S3Storage("s3", s3.connect(bucket, prefix="/media/")), s3.client
    for body in (b"1", b"2", b"3"):
        storage.put(KEY, [body])
    storage.put(NEIGHBOUR, [b"x"])
    client.delete_object(Bucket=bucket, Key=f"media/{KEY}")
    client.put_object(Bucket=bucket, Key=f"elsewhere/{KEY}", Body=b"not ours")
    with pytest.raises(ObjectNotFound):
        storage.stat(KEY)  # hidden, which is not gone

    # When it is erased
    (erased,) = erase(storage, KEY)

    # Then all four are gone, by their ids, and it was looked for
    assert (erased.removed, erased.markers, erased.method) == (4, 1, Method.DELETE_VERSION)
    assert erased.observation is Observation.LIST_VERSIONS_EMPTY
    assert sorted(names(s3, bucket)) == [("Versions", f"elsewhere/{KEY}"), ("Versions", f"media/{NEIGHBOUR}")]


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_a_locked_version_is_blocked_until_its_day(s3: S3Server, mode: str) -> None:
    bucket = s3.bucket("locked")
    storage, client = S3Storage("s3", s3.connect(bucket)), s3.client
    storage.put(KEY, [b"old"])
    storage.put(KEY, [b"locked"])
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    client.put_object_retention(Bucket=bucket, Key=str(KEY), Retention={"Mode": mode, "RetainUntilDate": until})

    locked, free = erase(storage, KEY, NEIGHBOUR)

    assert (locked.observation, locked.blocked, locked.blocked_until) == (None, "object_lock", until)
    assert locked.removed == 1  # the old version was not locked
    assert free.blocked is None
    assert ("Versions", str(KEY)) in names(s3, bucket)


def test_a_legal_hold_of_the_bucket_blocks_until_it_is_lifted(s3: S3Server) -> None:
    bucket = s3.bucket("locked")
    storage, client = S3Storage("s3", s3.connect(bucket)), s3.client
    storage.put(KEY, [b"held"])
    client.put_object_legal_hold(Bucket=bucket, Key=str(KEY), LegalHold={"Status": "ON"})

    (held,) = erase(storage, KEY)
    client.put_object_legal_hold(Bucket=bucket, Key=str(KEY), LegalHold={"Status": "OFF"})
    (free,) = erase(storage, KEY)

    assert (held.blocked, held.observation) == ("bucket_legal_hold", None)
    assert (free.blocked, free.observation) == (None, Observation.LIST_VERSIONS_EMPTY)
    assert names(s3, bucket) == []


def test_ten_batches_of_deletes_for_ten_thousand_keys_would_be_ten_calls(s3: S3Server, proxy: FaultyS3) -> None:
    # Given 2,500 keys of 25 uploads
    doomed = keys(2_500)
    storage = S3Storage("s3", s3.connect(s3.bucket("plain"), through=proxy.url))
    for key in doomed[::500]:
        storage.put(key, [b"x"])
    proxy.calls.clear()

    outcomes = erase(storage, *doomed)

    # Then one delete call a thousand keys, one look an upload before and after, and one for unfinished uploads
    assert [erased.key for erased in outcomes] == doomed
    assert all(erased.observation for erased in outcomes)
    assert sum(erased.removed for erased in outcomes) == 5
    deletes = [call for call in proxy.calls if call.is_delete]
    assert len(deletes) == 3
    assert len(proxy.calls) - len(deletes) <= 2 * (27 + 3)


def test_one_error_in_a_batch_blocks_one_key(s3: S3Server, proxy: FaultyS3) -> None:
    bucket = s3.bucket("versioned")
    storage = S3Storage("s3", s3.connect(bucket, through=proxy.url))
    doomed = keys(120)
    for key in doomed:
        storage.put(key, [b"x"])
    client = s3.client

    def one_error(call: Call) -> Reply | None:
        """Deletes all but one, and says so with status 200, as S3 does."""
        if not call.is_delete:
            return None
        entries = client.list_object_versions(Bucket=bucket)["Versions"]
        spared = str(doomed[70])
        gone = [{"Key": e["Key"], "VersionId": e["VersionId"]} for e in entries if e["Key"] != spared]
        client.delete_objects(Bucket=bucket, Delete={"Objects": gone})
        said = "".join(f"<Deleted><Key>{g['Key']}</Key><VersionId>{g['VersionId']}</VersionId></Deleted>" for g in gone)
        error = f"<Error><Key>{spared}</Key><Code>InternalError</Code></Error>"
        return Reply(body=f"<DeleteResult>{said}{error}</DeleteResult>".encode())

    proxy.fault = one_error
    outcomes = erase(storage, *doomed)

    assert [erased.key for erased in outcomes if erased.blocked] == [doomed[70]]
    proxy.heal()
    assert [erased.removed for erased in erase(storage, *doomed)].count(1) == 1
    assert names(s3, bucket) == []


def lies(call: Call) -> Reply | None:
    """Says "deleted" of everything and deletes nothing."""
    return Reply(body=b"<DeleteResult></DeleteResult>") if call.is_delete else None


def denies(call: Call) -> Reply | None:
    return refusal(403, "AccessDenied") if call.is_delete else None


def is_busy(call: Call) -> Reply | None:
    return refusal(503, "SlowDown") if call.is_delete else None


def is_broken(_call: Call) -> Reply | None:
    return refusal(500, "InternalError")


def hides_its_list(call: Call) -> Reply | None:
    return refusal(403, "AccessDenied") if call.verb == "GET" else None


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lies, "refused"),
        (denies, "storage_denied"),
        (is_busy, "storage_unavailable"),
        (is_broken, "storage_unavailable"),
        (hides_its_list, "storage_denied"),
    ],
)
def test_what_was_not_destroyed_is_never_called_gone(
    s3: S3Server, proxy: FaultyS3, bucket: str, fault: object, reason: str
) -> None:
    storage = S3Storage("s3", s3.connect(bucket, through=proxy.url))
    storage.put(KEY, [b"x"])

    proxy.fault = fault  # type: ignore[assignment]
    (erased,) = erase(storage, KEY)

    assert (erased.observation, erased.blocked, erased.removed) == (None, reason, 0)
    assert names(s3, bucket) == [("Versions", str(KEY))]
    proxy.heal()
    (erased,) = erase(storage, KEY)
    assert (erased.blocked, erased.removed) == (None, 1)


def test_deleted_but_not_looked_for_again_is_not_gone(s3: S3Server, proxy: FaultyS3, bucket: str) -> None:
    storage = S3Storage("s3", s3.connect(bucket, through=proxy.url))
    storage.put(KEY, [b"x"])
    deleted = threading.Event()

    def blind_afterwards(call: Call) -> Reply | None:
        if deleted.is_set() and "versions" in call.path:
            return refusal(500, "InternalError")
        if call.is_delete:
            deleted.set()
        return None

    proxy.fault = blind_afterwards
    (erased,) = erase(storage, KEY)

    assert (erased.observation, erased.blocked, erased.removed) == (None, "storage_unavailable", 0)
    assert names(s3, bucket) == []


@pytest.mark.parametrize("size", [10, PART + 10])
def test_a_line_that_is_cut_in_a_put_leaves_nothing(s3: S3Server, proxy: FaultyS3, bucket: str, size: int) -> None:
    storage = S3Storage("s3", s3.connect(bucket, through=proxy.url), part_bytes=PART)
    proxy.fault = lambda call: Reply(status=500, body=b"no", cut=True) if call.verb == "PUT" else None

    with pytest.raises(StorageUnavailable):
        storage.put(KEY, [bytes(size)])

    assert names(s3, bucket) == []


def test_a_server_that_stays_silent_is_given_up(s3: S3Server, proxy: FaultyS3) -> None:
    storage = S3Storage("s3", s3.connect(s3.bucket("plain"), through=proxy.url, read_s=0.3))
    release = threading.Event()

    def silent(_call: Call) -> Reply:
        release.wait(20)
        return Reply()

    proxy.fault = silent

    try:
        with pytest.raises(StorageUnavailable):
            storage.put(KEY, [b"x"])
    finally:
        release.set()
    assert len(proxy.calls) <= 3  # retry lives in the queue


@pytest.mark.parametrize("size", [10, PART + 10])
def test_bytes_that_changed_on_their_way_are_refused(s3: S3Server, proxy: FaultyS3, bucket: str, size: int) -> None:
    storage = S3Storage("s3", s3.connect(bucket, through=proxy.url), part_bytes=PART)
    proxy.change = lambda call, body: body.replace(b"face", b"fake") if call.verb == "PUT" else body

    with pytest.raises(StorageUnavailable, match="changed on their way"):
        storage.put(KEY, [b"face" + bytes(size)])

    assert names(s3, bucket) == []


def test_a_body_that_ends_early_is_an_error_and_not_a_short_file(s3: S3Server, proxy: FaultyS3, bucket: str) -> None:
    storage = S3Storage("s3", s3.connect(bucket, through=proxy.url))
    storage.put(KEY, [bytes(1000)])
    proxy.fault = lambda call: Reply(body=bytes(1000), cut=True) if call.verb == "GET" else None

    with storage.open(KEY) as stream, pytest.raises(StorageUnavailable):
        stream.read()


def test_wrong_keys_and_a_missing_bucket_say_what_to_do(s3: S3Server, proxy: FaultyS3) -> None:
    missing = S3Storage("s3", s3.connect("there-is-no-such-bucket"))
    with pytest.raises(StorageUnavailable, match="no such bucket"):
        missing.put(KEY, [b"x"])
    proxy.fault = lambda _call: refusal(403, "InvalidAccessKeyId")
    with pytest.raises(Denied, match="check what these keys may do"):
        S3Storage("s3", s3.connect("any", through=proxy.url)).put(KEY, [b"x"])


def test_capabilities_are_tried_and_leave_nothing(s3: S3Server) -> None:
    for kind, versioning, lock in (("plain", False, False), ("versioned", True, False), ("locked", True, True)):
        bucket = s3.bucket(kind)
        found = S3Storage("s3", s3.connect(bucket)).capabilities()
        assert (found.versioning, found.object_lock) == (versioning, lock)
        assert found.version_deletes
        assert found.versions_listed
        assert found.tagging
        assert found.lifecycle
        assert names(s3, bucket) == []


def test_a_bucket_that_denies_version_deletes_is_seen_by_the_probe(s3: S3Server, proxy: FaultyS3) -> None:
    storage = S3Storage("s3", s3.connect(s3.bucket("versioned"), through=proxy.url))
    proxy.fault = lambda call: refusal(403, "AccessDenied") if b"<VersionId>" in call.body else None

    found = storage.capabilities()

    assert found.versioning
    assert not found.version_deletes


def test_a_store_without_versions_is_looked_at_by_its_plain_listing(s3: S3Server, proxy: FaultyS3) -> None:
    # Given a store that does not know the call, as Garage answers it
    storage = S3Storage("s3", s3.connect(s3.bucket("plain"), through=proxy.url))
    proxy.fault = lambda call: refusal(501, "NotImplemented") if "versions" in call.path else None
    storage.put(KEY, [b"x"])
    storage.put(NEIGHBOUR, [b"x"])

    (erased,) = erase(storage, KEY)

    assert (erased.removed, erased.observation) == (1, Observation.LIST_ABSENT)
    assert not storage.capabilities().versions_listed
    assert [stat.key for stat in storage.list()] == [NEIGHBOUR]


def test_what_is_encrypted_is_asked_for_with_every_put(s3: S3Server, proxy: FaultyS3) -> None:
    bucket = s3.bucket("plain")
    storage = S3Storage("s3", s3.connect(bucket), encryption="AES256", part_bytes=PART)
    for key, size in ((KEY, 10), (NEIGHBOUR, PART + 10)):
        storage.put(key, [bytes(size)])
        assert s3.client.head_object(Bucket=bucket, Key=str(key))["ServerSideEncryption"] == "AES256"


@pytest.mark.parametrize("body", [b"small", b"x" * (PART + 1)])
def test_caches_are_told_how_long_they_may_keep_an_object(s3: S3Server, body: bytes) -> None:
    bucket = s3.bucket("plain")
    storage = S3Storage("s3", s3.connect(bucket), caches="max-age=60", part_bytes=PART)
    storage.put(KEY, [body])
    assert s3.client.head_object(Bucket=bucket, Key=str(KEY))["CacheControl"] == "max-age=60"
