"""What a home holds besides the ledger: its folder, the two secrets made on first use, and the folder of receipts."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from storage_backends.errors import StorageError
from worker.errors import Refused, Unavailable
from worker.privacy.folder import ReceiptFolder
from worker.privacy.receipt import Signer
from worker.settings import Settings


def make(settings: Settings) -> None:
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)


def receipts(settings: Settings) -> ReceiptFolder:
    return ReceiptFolder(root=settings.receipts_root())


def signer(settings: Settings) -> Signer:
    """Who signs receipts. The public key is kept beside them from now on, whichever key comes after it."""
    if settings.receipt_key is not None:
        pem = settings.receipt_key.get_secret_value().encode()
    else:
        pem = _kept(_receipt_key(settings), Signer.new_pem)
    found = Signer.from_pem(pem)
    receipts(settings).keep_key(found)
    return found


def rotate(settings: Settings) -> Signer:
    """A new receipt key in place of the old one, whose public half stays; what runs signs with the old one until it is
    started anew. Raises `Refused` (`key_is_set`) where the operator gives the key."""
    if settings.receipt_key is not None:
        raise Refused(
            "the receipt key comes from MAYFLY_RECEIPT_KEY; change it there, old public keys stay in the home",
            code="key_is_set",
        )
    with told():
        make(settings)
        signer(settings)
        _fresh(_receipt_key(settings), Signer.new_pem()).replace(_receipt_key(settings))
        return signer(settings)


def subject_secret(settings: Settings) -> bytes:
    if settings.subject_secret is not None:
        return settings.subject_secret.get_secret_value().encode()
    return _kept(settings.home / "subject_secret", lambda: secrets.token_hex(32).encode())


@contextlib.contextmanager
def told() -> Iterator[None]:
    """What the system or a storage refuses while the home is opened, in one clear line.

    Raises `Unavailable` (`home_read_only`, `disk_full`, or the storage's own code).
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Unavailable("the disk that holds MAYFLY_HOME is full; free some space", code="disk_full") from None
        raise Unavailable(
            "MAYFLY_HOME cannot be written; name a directory that this user may write", code="home_read_only"
        ) from None
    except StorageError as error:
        raise Unavailable(str(error), code=error.code) from None


def _receipt_key(settings: Settings) -> Path:
    return settings.home / "receipt_key.pem"


def _kept(path: Path, content: Callable[[], bytes]) -> bytes:
    """The content of a private file, made once; two processes that start together agree on one."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        fresh = _fresh(path, content())
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
        return path.read_bytes()


def _fresh(path: Path, content: bytes) -> Path:
    """A private file beside `path`, on the disk when this returns."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    return fresh
