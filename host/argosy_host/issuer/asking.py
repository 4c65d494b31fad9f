"""Asks an issuer for its keys: metadata (RFC 8414, OpenID Connect Discovery 1.0), then the key set that it names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import anyio
from anyio import to_thread

from argosy_core.errors import Unavailable
from argosy_host.issuer.places import may_be_asked, metadata_places

if TYPE_CHECKING:
    import httpx2

ASK_SECONDS = 5.0  # for metadata and keys together
MAX_ANSWER_BYTES = 256 * 1024


async def ask_for_keys(issuer: str, within_seconds: float = ASK_SECONDS) -> Mapping[str, Any]:
    """The key set of *issuer*, not looked into (RFC 7517 section 5).

    Raises Unavailable: it does not answer in time, with too much, with something else, or as somebody else.
    """
    import httpx2

    try:
        with anyio.fail_after(within_seconds):
            # Making a client reads the system's certificates. Neither a proxy nor a redirect says who an issuer is.
            make = partial(httpx2.AsyncClient, trust_env=False, follow_redirects=False, timeout=within_seconds)
            async with await to_thread.run_sync(make) as client:
                keys = await _json(client, await _keys_place(client, issuer))
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError, RecursionError) as error:
        raise Unavailable(f"the token issuer does not answer ({type(error).__name__})") from error
    if keys is None:
        raise Unavailable("the token issuer's key set is not where it says")
    return keys


async def _keys_place(client: httpx2.AsyncClient, issuer: str) -> str:
    for place in metadata_places(issuer):
        found = await _json(client, place)
        if found is None:
            continue
        # RFC 8414 section 3.3: to the letter, or it may be another tenant of the same host.
        if found.get("issuer") != issuer:
            raise Unavailable("the token issuer calls itself by another name than --token-issuer does")
        where = found.get("jwks_uri")
        if not may_be_asked(where, issuer):
            raise Unavailable("the token issuer names no place for its keys that may be asked")
        return str(where)
    raise Unavailable("the token issuer has no metadata where it should be")


async def _json(client: httpx2.AsyncClient, url: str) -> Mapping[str, Any] | None:
    """The object at *url*; None where there is none."""
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    async with client.stream("GET", url, headers=headers) as answer:
        if 400 <= answer.status_code < 500:
            return None
        if answer.status_code != 200:
            raise Unavailable(f"the token issuer answered {answer.status_code}")
        data = bytearray()
        async for piece in answer.aiter_raw():  # as sent: nothing small unpacks to something large
            data += piece
            if len(data) > MAX_ANSWER_BYTES:
                raise Unavailable("the token issuer's answer is too large")
    found: object = json.loads(data)
    if not isinstance(found, dict):
        raise Unavailable("the token issuer's answer is not of the form")
    return cast("dict[str, Any]", found)
