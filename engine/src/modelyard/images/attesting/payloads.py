"""What is signed of an image: the "simple signing" document that cosign writes and reads. Pure.

Only the digest and the type decide. The reference says where the image lay when it was signed; an image
that was copied elsewhere is the same image.
"""

from __future__ import annotations

import hmac
import json

PAYLOAD_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
"""The annotation that has a payload's signature, in base64."""
_WHAT = "cosign container image signature"


def write_payload(reference: str, digest: str) -> bytes:
    """Write the document for an image that others call `reference`."""
    critical = {
        "identity": {"docker-reference": reference},
        "image": {"docker-manifest-digest": digest},
        "type": _WHAT,
    }
    return json.dumps({"critical": critical, "optional": None}, separators=(",", ":")).encode()


def speaks_of(payload: bytes, digest: str) -> bool:
    """Say whether a document is such a one and names this digest; fields that are unknown do not matter."""
    try:
        critical = json.loads(payload)["critical"]
        what, named = critical["type"], critical["image"]["docker-manifest-digest"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    if not isinstance(what, str) or not isinstance(named, str):
        return False
    return what == _WHAT and hmac.compare_digest(named.encode(), digest.encode())


def signature_tag(digest: str) -> str:
    """Give the tag, in the image's own repository, under which its signatures lie."""
    return f"{digest.replace(':', '-', 1)}.sig"
