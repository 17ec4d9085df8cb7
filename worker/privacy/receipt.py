"""What Mayfly signs: canonical JSON (RFC 8785) with an Ed25519 signature (RFC 8032), checked offline.

A receipt holds ids, kinds, times and observations; no subject, no file name, no key of a bucket. There is exactly one
text of it: any other spelling of the same values, by a space or an escape, is refused like a changed value.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from worker.errors import Refused, UsageRefused

_ALG = "Ed25519"
KID = re.compile(r"[0-9a-f]{16}")


def canonical(value: Mapping[str, Any]) -> bytes:
    """RFC 8785 for the values that receipts hold: strings, integers, null, lists and objects with ASCII names."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def written(document: Mapping[str, Any]) -> str:
    """The one text of a signed document, as it stands in a file: names sorted, two spaces, no newline at the end."""
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False)


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Holds the private key; `public_pem` is what a verifier needs."""

    key: Ed25519PrivateKey

    @classmethod
    def from_pem(cls, pem: bytes) -> Signer:
        """Raises `UsageRefused` (`bad_receipt_key`) for anything but an unencrypted Ed25519 PEM."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError):
            raise UsageRefused(
                "the receipt key must be an Ed25519 private key in PEM", code="bad_receipt_key"
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise UsageRefused("the receipt key must be an Ed25519 private key in PEM", code="bad_receipt_key")
        return cls(key=key)

    @staticmethod
    def new_pem() -> bytes:
        """A fresh private key, PKCS #8 PEM."""
        return Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def kid(self) -> str:
        return key_id(self.key.public_key())

    def public_pem(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, body: Mapping[str, Any]) -> str:
        """The document as one JSON text, signature included."""
        value = base64.b64encode(self.key.sign(canonical(body))).decode()
        return written({**body, "signature": {"alg": _ALG, "kid": self.kid, "value": value}})


def key_id(key: Ed25519PublicKey) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the raw public key."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


def signed_by(text: str) -> str:
    """The id of the key that a document says it was signed with, unproven. Raises `Refused` (`bad_receipt`)."""
    return str(_parts(text)[1]["kid"])


def verify(text: str, public_pem: bytes) -> dict[str, Any]:
    """The body when the signature is right and the text is the one that was issued, to the last byte.

    Raises `Refused`: `bad_receipt`, `bad_receipt_key`, `other_key`, `bad_signature`.
    """
    body, signature = _parts(text)
    try:
        key = serialization.load_pem_public_key(public_pem)
    except ValueError:
        raise Refused("the public key is not a PEM", code="bad_receipt_key") from None
    if not isinstance(key, Ed25519PublicKey) or signature["alg"] != _ALG or signature["kid"] != key_id(key):
        raise Refused("the receipt was signed by another key; name its public key", code="other_key")
    try:
        value = base64.b64decode(signature["value"], validate=True)
        key.verify(value, canonical(body))
    except (InvalidSignature, ValueError):
        raise Refused("the signature does not fit: the receipt was changed", code="bad_signature") from None
    # What is signed are values. The bits that base64 ignores, spaces, escapes and names that come twice are not among
    # them, so the text must also be the only one that these values have.
    issued = {**body, "signature": {**signature, "value": base64.b64encode(value).decode()}}
    if written(issued) != text:
        raise Refused("the receipt was changed: this is not the text that was issued", code="bad_signature")
    return body


def _parts(text: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Body and signature, the latter with exactly its three texts."""
    try:
        body = json.loads(text)
        signature = body.pop("signature")
        sound = set(signature) == {"alg", "kid", "value"} and all(isinstance(v, str) for v in signature.values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        sound = False
    if not sound or not KID.fullmatch(signature["kid"]):
        raise Refused("this is not a receipt", code="bad_receipt") from None
    return body, signature
