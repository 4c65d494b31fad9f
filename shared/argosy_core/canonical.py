"""Canonical JSON and the hashes built on it.

Canonical JSON: keys sorted by code point, separators ``,`` and ``:``, UTF-8 unescaped, no NaN or Infinity. Numbers are
written as Python's `json` writes them, so ``1`` and ``1.0`` differ (RFC 8785 would make them one).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from argosy_core.errors import InvalidArgument

CHAIN_DOMAIN = b"argosy.chain.v1\0"
NO_PREVIOUS = bytes(32)


def canonical_json(value: Any) -> bytes:
    """*value* as canonical JSON in UTF-8.

    Raises InvalidArgument when *value* holds what JSON cannot: NaN, Infinity, lone surrogates, other types.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise InvalidArgument(f"not representable as canonical JSON: {type(exc).__name__}") from exc


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


def event_digest(event: Mapping[str, Any], salt: bytes) -> bytes:
    """``BLAKE3(salt ‖ canonical JSON of the event)``, 32 bytes."""
    from blake3 import blake3

    return blake3(salt + canonical_json(event)).digest()


def chain_hash(stream: str, writer: str, seq: int, prev: bytes, digest: bytes) -> bytes:
    """The hash of one chain entry, version 1 (`vault.md`, "The chain"): 32 bytes.

    ``BLAKE3(domain ‖ len32(stream)‖stream ‖ len32(writer)‖writer ‖ seq64 ‖ prev ‖ digest)``, integers big-endian,
    *seq* from 1, *prev* the previous entry's hash or 32 zero bytes.
    """
    from blake3 import blake3

    stream_bytes, writer_bytes = stream.encode(), writer.encode()
    parts: Sequence[bytes] = (
        CHAIN_DOMAIN,
        len(stream_bytes).to_bytes(4, "big"),
        stream_bytes,
        len(writer_bytes).to_bytes(4, "big"),
        writer_bytes,
        seq.to_bytes(8, "big"),
        prev,
        digest,
    )
    return blake3(b"".join(parts)).digest()


def chain_hash_v0(prev: bytes | None, payload: bytes) -> bytes:
    """agent-store's rule, for import: ``BLAKE3(prev ‖ payload)``, nothing before the first."""
    from blake3 import blake3

    return blake3((prev or b"") + payload).digest()
