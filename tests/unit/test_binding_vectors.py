"""The hashes that bind a call, against vectors that are checked in for whoever implements them again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from points import holds

from argosy_core.canonical import arguments_hash, canonical_json, custom_tool_hash, tool_definition_hash
from argosy_core.errors import InvalidArgument
from argosy_core.policy.floor import policy_version

VECTORS = Path(__file__).parent / "vectors/binding_hashes.json"
FOUND: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
names = st.text(st.characters(exclude_categories=("Cs",)))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(
        st.characters(exclude_categories=("Cs",))
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner),
    max_leaves=8,
)  # fmt: skip


@holds("hash-determinism")
@pytest.mark.parametrize("row", FOUND["arguments"])
def test_arguments_have_the_hash_of_the_vector(row: dict[str, Any]) -> None:
    assert canonical_json(row["arguments"]).decode() == row["canonical"]
    assert arguments_hash(row["arguments"]) == row["sha256"]


@holds("hash-determinism")
def test_definitions_and_policies_have_the_hashes_of_the_vectors() -> None:
    for row in FOUND["mcp_tool"]:
        assert (
            tool_definition_hash(row["server"], row["name"], row["input_schema"], row["server_version"])
            == row["sha256"]
        )
    for row in FOUND["custom_tool"]:
        where = row["handler_module"], row["handler_qualname"]
        assert custom_tool_hash(row["name"], row["input_schema"], *where) == row["sha256"]
    for row in FOUND["policy_version"]:
        files = [None if row[n] is None else row[n].encode() for n in ("tools_md", "judges_md", "floor", "policy_md")]
        assert policy_version(*files) == row["version"]


@holds("hash-determinism")
def test_another_process_gives_the_same_whatever_its_hash_seed() -> None:
    code = (
        "import json, sys; from argosy_core.canonical import arguments_hash; "
        "print(json.dumps([arguments_hash(r['arguments']) for r in json.load(open(sys.argv[1]))['arguments']]))"
    )
    expected = [row["sha256"] for row in FOUND["arguments"]]
    for seed in ("0", "4711"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code, str(VECTORS)], env=env, capture_output=True, check=True)
        assert json.loads(done.stdout) == expected


@holds("hash-sensitivity")
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), json_values), st.text(max_size=3), json_values
)
def test_any_change_changes_the_hash(arguments: dict[str, Any], key: str, value: Any) -> None:
    changed = {**arguments, key: value}
    same = canonical_json(changed) == canonical_json(arguments)
    assert (arguments_hash(changed) == arguments_hash(arguments)) is same
    assert arguments_hash(json.loads(canonical_json(arguments))) == arguments_hash(arguments)


@holds("hash-sensitivity")
def test_what_json_cannot_hold_is_refused() -> None:
    for value in (float("nan"), float("inf"), float("-inf"), "\ud800", {1: 2}, b"x", {1}):
        with pytest.raises(InvalidArgument):
            arguments_hash({"a": value})
