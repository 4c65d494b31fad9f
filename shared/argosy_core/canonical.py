"""Canonical JSON and the hashes built on it.

Canonical JSON: keys sorted by code point, separators ``,`` and ``:``, UTF-8 unescaped, no NaN or Infinity. Numbers are
written as Python's `json` writes them, so ``1`` and ``1.0`` differ (RFC 8785 would make them one).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, cast

from argosy_core.errors import InvalidArgument

if TYPE_CHECKING:
    from blake3 import blake3

CHAIN_DOMAIN = b"argosy.chain.v1\0"
NO_PREVIOUS = bytes(32)
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical_json(value: Any, *, parsed: bool = False) -> bytes:
    """*value* as canonical JSON in UTF-8; *parsed* says that it came out of a JSON text, so its names are text.

    Raises InvalidArgument when *value* holds what JSON cannot: NaN, Infinity, lone surrogates, other types, names that
    are no text.
    """
    try:
        data = _encode(value).encode()
        if not parsed:
            _check_names(value)
    except (TypeError, ValueError, RecursionError) as exc:
        hint = "use texts of whole characters, finite numbers, true, false, null, lists and objects named by texts"
        raise InvalidArgument(f"not representable as canonical JSON: {type(exc).__name__}", hint=hint) from exc
    return data


def _check_names(value: Any) -> None:
    # The encoder would write 10 as "10", but sort it as a number: not what a reader of the text sorts by.
    inside = cast("Iterable[Any]", value)
    if isinstance(value, dict):
        fields = cast("Mapping[Any, Any]", value)
        if not all(isinstance(name, str) for name in fields):
            raise TypeError("a name is no text")
        inside = fields.values()
    elif not isinstance(value, list | tuple):
        return
    for inner in inside:
        if isinstance(inner, dict | list | tuple):
            _check_names(inner)


def sha256_hex(data: bytes) -> str:
    """SHA-256 of *data*, 64 hex characters: the version of a document."""
    return hashlib.sha256(data).hexdigest()


def arguments_hash(arguments: Mapping[str, Any]) -> str:
    """What binds a call's arguments: SHA-256 of their canonical JSON."""
    return sha256_hex(canonical_json(arguments))


def tool_definition_hash(server: str, name: str, input_schema: Mapping[str, Any], version: str) -> str:
    """What binds a tool's definition: kind, server, name, input schema and the server's version."""
    fields = {"kind": "mcp", "server": server, "name": name, "input_schema": input_schema, "server_version": version}
    return sha256_hex(canonical_json(fields))


def custom_tool_hash(name: str, input_schema: Mapping[str, Any], module: str, qualname: str) -> str:
    """What binds a tool that is no server's: kind, name, input schema, and who runs (module and qualified name)."""
    fields = {"kind": "custom", "name": name, "input_schema": input_schema, "handler_module": module}
    return sha256_hex(canonical_json({**fields, "handler_qualname": qualname}))


@cache
def _blake3() -> type[blake3]:
    from blake3 import blake3  # not at the top: loading it takes as long as all of this package

    return blake3


def new_hasher() -> type[blake3]:
    """BLAKE3, for whoever hashes so often that a call more would be felt."""
    return _blake3()


def event_digest(event: Mapping[str, Any], salt: bytes, *, parsed: bool = False) -> bytes:
    """``BLAKE3(salt ‖ canonical JSON of the event)``, 32 bytes."""
    return text_digest(canonical_json(event, parsed=parsed), salt)


def text_digest(text: bytes, salt: bytes) -> bytes:
    """As `event_digest`, of an event that is canonical JSON already."""
    return _blake3()(salt + text).digest()


def chain_hash(stream: str, writer: str, seq: int, prev: bytes, digest: bytes) -> bytes:
    """The hash of one chain entry, version 1 (`vault.md`, "The chain"): 32 bytes.

    ``BLAKE3(domain ‖ len32(stream)‖stream ‖ len32(writer)‖writer ‖ seq64 ‖ prev ‖ digest)``, integers big-endian,
    *seq* from 1, *prev* the previous entry's hash or 32 zero bytes.
    """
    return _blake3()(chain_prefix(stream, writer) + seq.to_bytes(8, "big") + prev + digest).digest()


@lru_cache(maxsize=256)
def chain_prefix(stream: str, writer: str) -> bytes:
    """What every hash of one writer's chain begins with: domain, stream and writer."""
    names = (stream.encode(), writer.encode())
    return CHAIN_DOMAIN + b"".join(len(name).to_bytes(4, "big") + name for name in names)


def chain_hash_v0(prev: bytes | None, payload: bytes) -> bytes:
    """agent-store's rule, for import: ``BLAKE3(prev ‖ payload)``, nothing before the first."""
    return _blake3()((prev or b"") + payload).digest()
