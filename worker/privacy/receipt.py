"""The signed proof of an erasure: canonical JSON (RFC 8785) with an Ed25519 signature (RFC 8032), checked offline.

A receipt holds ids, kinds, times and observations; no subject, no file name, no key of a bucket. It is issued only for
copies that were looked for and not found, or that name why this could not be seen.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from worker.errors import Refused, UsageRefused

VERSION = 1
_ALG = "Ed25519"


def canonical(value: Mapping[str, Any]) -> bytes:
    """RFC 8785 for the values that receipts hold: strings, integers, null, lists and objects with ASCII names."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


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

    def public_pem(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, body: Mapping[str, Any]) -> str:
        """The receipt as one JSON text, signature included."""
        value = base64.b64encode(self.key.sign(canonical(body))).decode()
        return json.dumps(
            {**body, "signature": {"alg": _ALG, "kid": key_id(self.key.public_key()), "value": value}},
            sort_keys=True,
            indent=2,
            ensure_ascii=False,
        )


def key_id(key: Ed25519PublicKey) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the raw public key."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


def verify(text: str, public_pem: bytes) -> dict[str, Any]:
    """The receipt's body when the signature is right. Raises `Refused`: `bad_receipt`, `other_key`, `bad_signature`."""
    try:
        body = json.loads(text)
        signature = body.pop("signature")
        value = base64.b64decode(signature["value"], validate=True)
        kid, alg = signature["kid"], signature["alg"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused("this is not a receipt", code="bad_receipt") from None
    try:
        key = serialization.load_pem_public_key(public_pem)
    except ValueError:
        raise Refused("the public key is not a PEM", code="bad_receipt_key") from None
    if not isinstance(key, Ed25519PublicKey) or alg != _ALG or kid != key_id(key):
        raise Refused("the receipt was signed by another key; name its public key", code="other_key")
    try:
        key.verify(value, canonical(body))
    except InvalidSignature:
        raise Refused("the signature does not fit: the receipt was changed", code="bad_signature") from None
    return dict(body)
