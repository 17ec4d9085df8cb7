"""The places where copies lie, built from settings: folders, a bucket, scratch, and the CDN before them."""

from __future__ import annotations

from pydantic import SecretStr

from storage_backends.cdn import WHOLE, Cdn, Template
from storage_backends.filesystem import FilesystemStorage
from storage_backends.scratch import ScratchStorage
from storage_backends.storage import Storage
from worker import home
from worker.ledger.database import Ledger
from worker.retention.book import Book
from worker.settings import Settings
from worker.shelf import Shelf

MEDIA = "media"
BUCKET = "s3"
INTAKE = "intake"
# A CDN whose purge fails asks the bucket again after a minute, and hears that the copy is gone.
CACHES = "max-age=60, must-revalidate"


def shelf(settings: Settings, ledger: Ledger, book: Book) -> Shelf:
    """The only door to all of them. Raises `Unavailable` in one clear line."""
    with home.told():
        locations = _locations(settings)
        scratch = ScratchStorage(settings.scratch_root())
        return Shelf(
            ledger=ledger,
            locations=locations,
            media=BUCKET if BUCKET in locations else MEDIA,
            scratch=scratch,
            book=book,
            cdn=_cdn(settings),
        )


def _cdn(settings: Settings) -> Cdn | None:
    if settings.cdn_url is None:
        return None
    return Cdn(
        serves=Template.parse(settings.cdn_url),
        purges=Template.parse(_secret(settings.cdn_purge_url) or settings.cdn_url, more=WHOLE),
        method=settings.cdn_purge_method,
        headers=settings.cdn_headers(),
        seconds=settings.cdn_seconds,
    )


def _locations(settings: Settings) -> dict[str, Storage]:
    """Where copies may lie. With a bucket new ones go there; those on the disk from before are still within reach."""
    disks = [FilesystemStorage(MEDIA, settings.media_root()), FilesystemStorage(INTAKE, settings.intake_root())]
    places: dict[str, Storage] = {disk.name: disk for disk in disks}
    if settings.s3_bucket is not None:
        places[BUCKET] = _bucket(settings, settings.s3_bucket)
    return places


def _bucket(settings: Settings, name: str) -> Storage:
    from storage_backends.s3 import Bucket, S3Storage  # takes a third of a second to load

    bucket = Bucket.connect(
        name,
        prefix=settings.s3_prefix,
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        access_key=_secret(settings.s3_access_key),
        secret_key=_secret(settings.s3_secret_key),
    )
    kms_key = _secret(settings.s3_kms_key)
    caches = CACHES if settings.cdn_url else None
    return S3Storage(BUCKET, bucket, encryption=settings.s3_encryption, kms_key=kms_key, caches=caches)


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()
