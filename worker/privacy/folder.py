"""The home's folder of receipts: files for people to keep and to check, readable by their owner alone.

<receipt id>.json       a receipt, as it was issued
<receipt id>.salt       what shows which file it is about; whoever asked for the erasure keeps it, nobody else
<receipt id>.day.json   the statement of its day, and the proof that the receipt is in it
days/<day>.json         the statement of each day
keys/<kid>.pem          every public key that ever signed here
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from worker.errors import Refused
from worker.privacy.bodies import SALT_BYTES
from worker.privacy.receipt import Signer


@dataclass(frozen=True, kw_only=True)
class ReceiptFolder:
    root: Path

    def write(self, name: str, text: str) -> Path:
        """Whole or not at all, mode 0600, on the disk when it returns."""
        path = self.root / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(path)
        return path

    def keep_key(self, signer: Signer) -> None:
        """Its public key stays here, whichever key signs later."""
        if not self._key(signer.kid).exists():
            self.write(f"keys/{signer.kid}.pem", signer.public_pem().decode())

    def public_key(self, kid: str) -> bytes:
        """Raises `Refused` (`other_key`) for a key that never signed here."""
        try:
            return self._key(kid).read_bytes()
        except OSError:
            raise Refused("the receipt was signed by another key; name its public key", code="other_key") from None

    def _key(self, kid: str) -> Path:
        return self.root / "keys" / f"{kid}.pem"

    def keep_day(self, day: str, text: str) -> None:
        """A statement that is here already stays as it is: it may be the one that others have seen."""
        if not (self.root / "days" / f"{day}.json").exists():
            self.write(f"days/{day}.json", text)

    def days(self) -> dict[str, str]:
        """Every statement that is here, by its day."""
        return {path.stem: text_of(path, "a statement") for path in sorted(self.root.glob("days/*.json"))}


def text_of(path: Path, what: str) -> str:
    """The text of a file, every byte of it. Raises `Refused` (`file_not_readable`)."""
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise Refused(f"{what} cannot be read; check the path", code="file_not_readable") from None


def salts_text(salts: Mapping[str, str]) -> str:
    """The content of a salt file: a line for each upload, its id and its salt (64 hexadecimal digits)."""
    return "".join(f"{upload_id} {salt}\n" for upload_id, salt in salts.items())


def read_salts(text: str) -> dict[str, bytes]:
    """By upload id. Raises `Refused` (`bad_salt`)."""
    try:
        pairs = [line.split(" ") for line in text.splitlines()]
        found = {upload_id: bytes.fromhex(salt) for upload_id, salt in pairs}
    except ValueError:
        found = {}
    if not found or any(len(salt) != SALT_BYTES for salt in found.values()):
        raise Refused("this is not a salt file: lines of an upload id and 64 digits", code="bad_salt")
    return found
