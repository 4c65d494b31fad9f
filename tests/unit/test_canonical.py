"""Canonical JSON and the hashes over it: what another implementation must compute too."""

from __future__ import annotations

import json
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.canonical import (
    CHAIN_DOMAIN,
    NO_PREVIOUS,
    arguments_hash,
    canonical_json,
    chain_hash,
    chain_hash_v0,
    event_digest,
    tool_definition_hash,
)
from argosy_core.errors import InvalidArgument

EVENT: dict[str, Any] = {
    "kind": "note.write",
    "text": "línea 日本",
    "n": 1,
    "x": 1.5,
    "none": None,
    "z": {"b": [], "a": True},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_canonical_json_is_sorted_dense_and_unescaped() -> None:
    expected = '{"kind":"note.write","n":1,"none":null,"text":"línea 日本","x":1.5,"z":{"a":true,"b":[]}}'
    assert canonical_json(EVENT) == expected.encode()


def test_names_are_sorted_by_code_point_not_by_utf16_unit() -> None:
    assert canonical_json({"\uffff": 1, "\U00010000": 2, "Z": 3, "a": 4, "": 5}) == (
        '{"":5,"Z":3,"a":4,"\uffff":1,"\U00010000":2}'.encode()
    )


@pytest.mark.parametrize(
    "value",
    [float("nan"), {"a": float("inf")}, "\ud800", {"\ud800": 1}, {1: 2}, [{"a": [{None: 1}]}], {True: 1}, b"x", {1, 2}],
    ids=ascii,
)
def test_what_json_cannot_carry_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="canonical JSON"):
        canonical_json(value)


def test_a_value_nested_beyond_sense_is_refused() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(InvalidArgument):
        canonical_json(value)


@given(JSON)
def test_canonical_json_survives_being_read_and_written_again(value: Any) -> None:
    data = canonical_json(value)
    assert canonical_json(json.loads(data)) == data
    assert canonical_json(json.loads(data), parsed=True) == data


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_the_order_of_names_does_not_matter(value: dict[str, Any]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


# Version 1 of the chain's rule, as the documentation states it. These values never change.


def test_the_digest_of_an_event_is_that_of_the_test_vector() -> None:
    salt = bytes(range(16))
    assert event_digest(EVENT, salt).hex() == "63e926003dd594dfabe1bfc0f72fc08dd8ee781bd25cd8d8e8f778f7c4e50047"
    assert event_digest({}, bytes(16)).hex() == "3ae46bcf71e48919d13408596da40d47e8f2e6e0e255484b180d7abf0eec376c"
    assert event_digest(EVENT, salt) == blake3(salt + canonical_json(EVENT)).digest()


def test_the_hashes_of_a_chain_are_those_of_the_test_vectors() -> None:
    first = chain_hash("harbor", "memory", 1, NO_PREVIOUS, event_digest(EVENT, bytes(range(16))))
    empty = event_digest({}, bytes(16))
    assert first.hex() == "1c4415c215ff319bacfeb3360ae6d5a848f44d27feca9f06a8a4b625adeaefaa"
    second = chain_hash("harbor", "memory", 2, first, empty)
    assert second.hex() == "8a5a630b6a8d223acb299e907ec8d8c6d780b38b93ae5c92d11e848f61eca497"
    other = chain_hash("日本", "журнал", 1, NO_PREVIOUS, empty)
    assert other.hex() == "1993f962812def224d76c18717b30fe2d4bb5bf21aae5f4ea2bb7b76863f6368"


@given(
    st.text(min_size=1, max_size=20),
    st.text(min_size=1, max_size=20),
    st.integers(1, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=32, max_size=32),
)
def test_a_chain_hash_is_blake3_over_the_fields_in_their_order(
    stream: str, writer: str, seq: int, prev: bytes, digest: bytes
) -> None:
    names = b"".join(len(name.encode()).to_bytes(4, "big") + name.encode() for name in (stream, writer))
    expected = blake3(b"argosy.chain.v1\0" + names + seq.to_bytes(8, "big") + prev + digest).digest()
    assert chain_hash(stream, writer, seq, prev, digest) == expected


def test_no_two_places_have_one_hash() -> None:
    digest = bytes(32)
    places = [("a", "bc", 1), ("ab", "c", 1), ("a", "bc", 2), ("bc", "a", 1), ("", "abc", 1)]
    assert len({chain_hash(*place, NO_PREVIOUS, digest) for place in places}) == len(places)
    assert CHAIN_DOMAIN == b"argosy.chain.v1\x00"


def test_version_0_is_the_older_rule() -> None:
    first = chain_hash_v0(None, b"hello")
    assert first.hex() == "ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f"
    second = chain_hash_v0(first, b"world")
    assert second.hex() == "c5040ca2b1bd38990c4f8794911f137b32e0229458f15023c517e50b7af536d1"


def test_arguments_and_definitions_are_bound_by_sha256_of_canonical_json() -> None:
    arguments = arguments_hash({"b": 1, "a": ["x"]})
    assert arguments == "9bfce180614e8aaffe8a52084e7be3ee3b4c2e740cae2793550177f953f11c04"
    assert arguments == arguments_hash({"a": ["x"], "b": 1})
    definition = tool_definition_hash("memory", "memory_write", {"type": "object"}, "0.1.0")
    assert definition == "bc76aee32d4e60080b9b14aeda5c4db45aeea6ea6438803c9f0c6f12a7f58eff"
    assert definition != tool_definition_hash("memory", "memory_write", {"type": "object"}, "0.1.1")
