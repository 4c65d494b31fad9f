"""What a vault's registry.json may and may not change in the packaged one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.errors import Corrupted, NotFound
from argosy_core.fleet import Registry, load_registry, packaged
from argosy_core.types import ActionClass

META = "io.github.argosy/fleet"


def load(*fleet: dict[str, Any], about: dict[str, Any] | None = None) -> Registry:
    entries = [{"server": about or {}, "_meta": {META: meta}} for meta in fleet]
    return load_registry(json.dumps({"servers": entries}).encode())


def weather(**changes: Any) -> dict[str, Any]:
    return {"name": "weather", "transport": "stdio", "command": ["uvx", "weather-server"], **changes}


def test_without_a_file_the_packaged_servers_are_all_there_and_our_own() -> None:
    registry = load_registry(None)
    assert [server.name for server in registry.servers] == [
        "desk",
        "goal",
        "host",
        "journal",
        "judge",
        "log",
        "memory",
        "queue",
        "registry",
        "scheduler",
        "secrets",
    ]
    assert all(server.own and server.transport == "in_process" for server in registry.servers)
    assert registry.server("memory").env == ("ARGOSY_VAULT",)


def test_an_empty_list_changes_nothing() -> None:
    assert load_registry(b'{"servers": []}') == packaged()


def test_a_file_with_a_byte_order_mark_is_read() -> None:
    assert load_registry(b'\xef\xbb\xbf{"servers": []}') == packaged()


def test_a_server_of_the_vault_joins_the_others_as_a_foreign_one() -> None:
    registry = load(weather(env=["WEATHER_KEY"], tools={"forecast": "read_only"}))
    server = registry.server("weather")
    assert (server.own, server.command, server.env) == (False, ("uvx", "weather-server"), ("WEATHER_KEY",))
    assert registry.find("forecast") == (server, ActionClass.READ_ONLY)
    assert [s.name for s in registry.servers] == sorted(s.name for s in registry.servers)


def test_title_description_and_variables_come_from_the_public_part() -> None:
    about = {
        "title": "Weather",
        "description": "Rain or not",
        "packages": [{"environmentVariables": [{"name": "B_KEY"}, {"name": "A_KEY"}]}],
    }
    server = load(weather(env=["C_KEY"]), about=about).server("weather")
    assert (server.title, server.description, server.env) == ("Weather", "Rain or not", ("A_KEY", "B_KEY", "C_KEY"))


def test_the_digest_changes_with_anything_that_would_run_and_with_nothing_else() -> None:
    digest = load(weather()).server("weather").digest
    assert load(weather(tools={"forecast": "read_only"})).server("weather").digest == digest
    assert load(weather(command=["uvx", "weather-server", "--all"])).server("weather").digest != digest
    assert load(weather(command=["uvx weather-server"])).server("weather").digest != digest
    assert load(weather(env=["KEY"])).server("weather").digest != digest


def test_an_own_server_may_be_started_as_a_process_of_its_own_and_stays_our_own() -> None:
    server = load({"name": "memory", "transport": "stdio"}).server("memory")
    assert server.own
    assert server.transport == "stdio"
    assert server.command == ()
    assert server.tools == packaged().server("memory").tools


@pytest.mark.parametrize(
    "change",
    [
        {"transport": "stdio", "command": ["evil"]},
        {"transport": "url", "url": "https://example.org/mcp"},
        {"transport": "in_process", "entry_point": "evil"},
    ],
)
def test_what_runs_in_place_of_an_own_server_is_foreign(change: dict[str, Any]) -> None:
    server = load({"name": "memory", **change}).server("memory")
    assert not server.own
    assert server.tools["memory_write"] is ActionClass.REVERSIBLE_WRITE


def test_a_vault_raises_the_class_of_an_own_tool_and_cannot_lower_it() -> None:
    registry = load({"name": "memory", "tools": {"memory_read": "high_risk", "memory_write": "read_only"}})
    assert registry.find("memory_read") == (registry.server("memory"), ActionClass.HIGH_RISK)
    assert registry.find("memory_write") == (registry.server("memory"), ActionClass.REVERSIBLE_WRITE)


def test_a_tool_is_looked_for_in_one_server_when_it_is_named() -> None:
    registry = packaged()
    assert registry.find("memory_write", "memory") is not None
    assert registry.find("memory_write", "journal") is None
    assert registry.find("memory_write", "github") is None
    with pytest.raises(NotFound, match="no server 'github'"):
        registry.server("github")


def test_of_two_foreign_servers_with_one_tool_name_the_stricter_class_counts() -> None:
    registry = load(
        weather(tools={"search": "read_only"}), weather(name="mail", tools={"search": "external_side_effect"})
    )
    found = registry.find("search")
    assert found is not None
    assert (found[0].name, found[1]) == ("mail", ActionClass.EXTERNAL_SIDE_EFFECT)


BROKEN = [
    (b'{"servers": [\n\n,]}', "line 3"),
    (b"\xff\xfe", "line 1: not UTF-8"),
    (b"[]", "the file: must be an object"),
    (b"{}", "servers: must be a list"),
    (b'{"servers": [], "servers": []}', "the key 'servers' stands twice"),
    (b'{"servers": [NaN]}', "NaN is no JSON"),
    (b"[" * 100_000, "the file"),
    (b'{"servers": [1]}', r"servers\[0\]: must be an object"),
    (b'{"servers": [{"server": {}}]}', r"servers\[0\]._meta"),
]


@pytest.mark.parametrize(("data", "place"), BROKEN)
def test_a_broken_file_is_named_with_its_place(data: bytes, place: str) -> None:
    with pytest.raises(Corrupted, match=place) as error:
        load_registry(data)
    assert error.value.detail["file"] == "registry.json"


WRONG_ENTRIES: list[tuple[dict[str, Any], str]] = [
    ({"name": "a__b", "transport": "stdio", "command": ["x"]}, "name"),
    ({"name": "../up", "transport": "stdio", "command": ["x"]}, "name"),
    ({"name": "x", "transport": "pipe"}, "transport"),
    ({"name": "x"}, "entry_point"),
    ({"name": "x", "transport": "stdio"}, "command"),
    ({"name": "x", "transport": "stdio", "command": "rm -rf /"}, "command"),
    ({"name": "x", "transport": "stdio", "command": []}, "command"),
    ({"name": "x", "transport": "stdio", "command": ["a\0b"]}, "command"),
    ({"name": "x", "transport": "stdio", "command": ["a"], "entry_point": "b"}, "entry_point"),
    ({"name": "memory", "command": ["evil"]}, "command"),
    ({"name": "memory", "url": "https://example.org"}, "url"),
    ({"name": "x", "transport": "url"}, "url"),
    ({"name": "x", "transport": "url", "url": "http://example.org/mcp"}, "url"),
    ({"name": "x", "transport": "url", "url": "https://me:secret@example.org/mcp"}, "url"),
    ({"name": "x", "transport": "url", "url": "file:///etc/passwd"}, "url"),
    ({"name": "x", "transport": "url", "url": "https://[::1"}, "url"),
    (weather(env=["A=B"]), "env"),
    (weather(env=[{}]), "env"),
    (weather(tools={"t": "harmless"}), "tools.t"),
    (weather(tools={"t": ["read_only"]}), "tools.t"),
    (weather(tools={"a tool": "read_only"}), "tools"),
    (weather(tools={"memory_write": "read_only"}), "is a tool of memory"),
    (weather(trusted=True), "unknown key 'trusted'"),
    ({"name": "memory", "tools": {"memory_write_all": "read_only"}}, "memory has no tool"),
]


@pytest.mark.parametrize(("meta", "place"), WRONG_ENTRIES)
def test_an_entry_of_the_wrong_shape_is_named_with_its_place(meta: dict[str, Any], place: str) -> None:
    with pytest.raises(Corrupted, match=place):
        load(meta)


def test_a_server_that_stands_twice_is_refused() -> None:
    with pytest.raises(Corrupted, match="a second time"):
        load(weather(), weather(command=["other"]))


def test_http_is_allowed_on_this_machine_alone() -> None:
    server = load({"name": "x", "transport": "url", "url": "http://127.0.0.1:8080/mcp"}).server("x")
    assert server.url == "http://127.0.0.1:8080/mcp"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["name", "transport", "entry_point", "command", "url", "env", "tools", "other"]),
        json_values | st.sampled_from(["memory", "stdio", "url", "in_process", "https://example.org/mcp"]),
    )
)
def test_any_entry_is_read_or_refused_and_own_tools_never_get_milder(meta: dict[str, Any]) -> None:
    try:
        registry = load(meta)
    except Corrupted:
        return
    for server in packaged().servers:
        for tool, action_class in server.tools.items():
            found = registry.find(tool)
            assert found is not None
            assert found[1].rank >= action_class.rank


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        load_registry(data)
    except Corrupted as error:
        assert error.detail["place"]
