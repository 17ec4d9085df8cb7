"""A verifier of receipts that shares no code with Mayfly: what anybody could write from the documentation.

python tests/verifier.py RECEIPT PUBLIC_KEY
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key


def holds(receipt: bytes, public_key: bytes) -> bool:
    """Whether the key signed these values (sorted names, no spaces, UTF-8) and this is their one spelling."""
    try:
        document = json.loads(receipt.decode("utf-8"))
        spelling = json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False).encode()
        signature = document.pop("signature")
        value = base64.b64decode(signature["value"])
        body = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        key = load_pem_public_key(public_key)
        key.verify(value, body)  # type: ignore[union-attr,call-arg]
    except (ValueError, KeyError, TypeError, AttributeError, InvalidSignature):
        return False
    kid = hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]
    issued = {"alg": "Ed25519", "kid": kid, "value": base64.b64encode(value).decode()}
    return spelling == receipt and signature == issued


if __name__ == "__main__":
    sys.exit(not holds(*(Path(name).read_bytes() for name in sys.argv[1:3])))
