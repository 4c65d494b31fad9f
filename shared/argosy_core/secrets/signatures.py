"""Whether a webhook's delivery was signed with a secret that both ends have.

Two forms are understood: that of GitHub and many after it (``X-Hub-Signature-256: sha256=`` and the HMAC-SHA-256 of the
body in hex, the delivery named by ``X-GitHub-Delivery``), and that of https://www.standardwebhooks.com
(``webhook-signature``, base64 of the HMAC-SHA-256 of ``id.timestamp.body``), which also signs when and which.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
import re
from collections.abc import Mapping

from argosy_core.errors import InvalidArgument, Unauthenticated
from argosy_core.secrets.secret import Secret

TOLERANCE_SECONDS = 300.0  # between both ends' clocks, where the time is signed
_DELIVERY = re.compile(r"[A-Za-z0-9._:-]{1,200}")
_PREFIX = "whsec_"  # before a key in base64, in the second form


def delivery_of(headers: Mapping[str, str]) -> str:
    """The id that all attempts of one delivery share; *headers* have small letters. Raises InvalidArgument."""
    found = headers.get("webhook-id") or headers.get("x-github-delivery") or ""
    if not _DELIVERY.fullmatch(found):
        raise InvalidArgument("the delivery has no id", hint="send webhook-id or X-GitHub-Delivery")
    return found


def check_signature(secret: Secret, headers: Mapping[str, str], body: bytes, now: float) -> None:
    """Raises Unauthenticated unless *body* was signed with *secret*; *now* is in seconds since 1970."""
    if "webhook-id" in headers:
        signed = _standard(secret, headers, body, now)
    else:
        expected = "sha256=" + hmac.new(secret.reveal().encode(), body, hashlib.sha256).hexdigest()
        signed = _same(headers.get("x-hub-signature-256", ""), expected)
    if not signed:
        raise Unauthenticated("the signature does not fit", hint="both ends need the same secret")


def _standard(secret: Secret, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    stamp = headers.get("webhook-timestamp", "")
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) < 15):
        return False
    if math.fabs(now - int(stamp)) > TOLERANCE_SECONDS:
        return False
    signed = b".".join((headers["webhook-id"].encode(), stamp.encode(), body))
    expected = base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()
    # Several while a key is being changed.
    return any(_same(one, f"v1,{expected}") for one in headers.get("webhook-signature", "").split()[:10])


def _key(secret: Secret) -> bytes:
    value = secret.reveal()
    if not value.startswith(_PREFIX):
        return value.encode()
    try:
        return base64.b64decode(value.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        return value.encode()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
