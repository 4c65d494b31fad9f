"""Placeholders: values go where the audience says, after the verdict, and nowhere else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.errors import Blocked, InvalidArgument, NotFound
from argosy_core.secrets.audience import Audience, load_audiences, parse_audiences
from argosy_core.secrets.hosts import UNREADABLE, hosts_in
from argosy_core.secrets.placeholders import find_placeholders, has_placeholder, inject, placeholder
from argosy_core.secrets.secret import Secret
from argosy_core.views.reader import MappingReader

VALUES = {"TOKEN": "token-value-1", "OTHER": "{{secret:TOKEN}}-other"}
TOOL = "web__send"
WIDE = Audience(frozenset({TOOL}), ("headers", "/body", "url", "/items/*/token"), frozenset({"api.example.com"}))
AUDIENCE = {"TOKEN": WIDE, "OTHER": WIDE}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["{{secret:TOKEN}}", "a {{secret:OTHER}}"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


async def resolve(name: str) -> Secret:
    if name not in VALUES:
        raise NotFound(f"there is no secret {name}")
    return Secret(VALUES[name])


async def injected(arguments: dict[str, Any], *, tool: str = TOOL, own: bool = False) -> dict[str, Any]:
    return await inject(arguments, resolve, AUDIENCE, tool, own)


# Finding and injecting


def test_places_are_named_by_json_pointer() -> None:
    arguments = {"a/b": [{"~": "x {{secret:TOKEN}} {{secret:OTHER}}"}], "z": "{{secret:TOKEN}}", "n": 1}
    assert [(p.pointer, p.name) for p in find_placeholders(arguments)] == [
        ("/a~1b/0/~0", "TOKEN"),
        ("/a~1b/0/~0", "OTHER"),
        ("/z", "TOKEN"),
    ]
    assert placeholder("TOKEN") == "{{secret:TOKEN}}" and has_placeholder(arguments) and not has_placeholder({"a": 1})


@pytest.mark.parametrize(
    "text", ["{{secret:token}}", "{{ secret:TOKEN }}", "{{secret:TOKEN}", "{{SECRET:TOKEN}}", "{{secret:}}"]
)
def test_what_is_nearly_a_placeholder_is_refused_and_not_sent_as_it_is(text: str) -> None:
    with pytest.raises(InvalidArgument, match="nearly a secret"):
        find_placeholders({"a": f"{text} {{{{secret:TOKEN}}}}"})


@pytest.mark.anyio
async def test_values_are_put_in_and_the_judged_arguments_stay_as_they_are() -> None:
    arguments = {
        "headers": {"Authorization": "Bearer {{secret:TOKEN}}"},
        "items": [{"token": "{{secret:OTHER}}"}],
        "n": 1,
    }
    judged = copy.deepcopy(arguments)
    sent = await injected(arguments)
    assert sent["headers"] == {"Authorization": "Bearer token-value-1"}
    assert sent["items"] == [{"token": "{{secret:TOKEN}}-other"}]  # a value is never read as a placeholder
    assert arguments == judged and sent is not arguments and sent["items"] is not arguments["items"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("arguments", "tool", "own", "reason"),
    [
        ({"headers": "{{secret:TOKEN}}"}, "memory_write", True, "our own"),
        ({"headers": "{{secret:TOKEN}}"}, "other__send", False, "tool other__send"),
        ({"title": "{{secret:TOKEN}}"}, TOOL, False, "argument /title"),
        ({"body": {"in": "{{secret:TOKEN}}"}}, TOOL, False, "argument /body/in"),
        ({"items": [{"x": {"token": "{{secret:TOKEN}}"}}]}, TOOL, False, "argument /items/0/x/token"),
        ({"headers": "{{secret:TOKEN}}", "url": "https://evil.example"}, TOOL, False, "host evil.example"),
        ({"headers": "{{secret:TOKEN}}", "note": "http://api.example.com/"}, TOOL, False, "host http://api.example"),
        ({"headers": "{{secret:NOBODY}}"}, TOOL, False, "no audience"),
        ({"headers": {"{{secret:TOKEN}}": "x"}}, TOOL, False, "name of an argument"),
        ({"url": "https://{{secret:TOKEN}}.evil.example/"}, TOOL, False, "host"),
    ],
)
async def test_what_is_outside_the_audience_is_blocked_with_the_reason(
    arguments: dict[str, Any], tool: str, own: bool, reason: str
) -> None:
    with pytest.raises(Blocked, match=reason) as caught:
        await injected(arguments, tool=tool, own=own)
    assert "token-value-1" not in str(caught.value)


@pytest.mark.anyio
async def test_nothing_is_resolved_when_one_place_is_refused() -> None:
    asked: list[str] = []

    async def remember(name: str) -> Secret:
        asked.append(name)
        return Secret(VALUES[name])

    with pytest.raises(Blocked):
        await inject({"headers": "{{secret:TOKEN}}", "title": "{{secret:OTHER}}"}, remember, AUDIENCE, TOOL, False)
    assert asked == []


@pytest.mark.anyio
async def test_a_name_without_a_value_is_not_found() -> None:
    with pytest.raises(NotFound):
        await inject({"body": "{{secret:GONE}}"}, resolve, {"GONE": WIDE}, TOOL, False)


@pytest.mark.anyio
async def test_a_url_that_is_all_secret_and_one_with_a_password_in_it_may_go() -> None:
    assert (await injected({"url": "{{secret:TOKEN}}"}))["url"] == "token-value-1"
    url = "https://me:{{secret:TOKEN}}@api.example.com/x"
    assert (await injected({"url": url}))["url"] == "https://me:token-value-1@api.example.com/x"


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_no_value_is_in_what_was_judged_and_none_stays_a_placeholder(arguments: dict[str, Any]) -> None:
    import anyio

    judged = copy.deepcopy(arguments)
    places = find_placeholders(arguments)
    everywhere = Audience(
        frozenset({TOOL}), tuple({p.pointer.replace("*", "*") or "/" for p in places}), frozenset("*")
    )

    async def run() -> dict[str, Any]:
        return await inject(arguments, resolve, {"TOKEN": everywhere, "OTHER": everywhere}, TOOL, False)

    sent = anyio.run(run)
    assert arguments == judged and "token-value-1" not in repr(judged)
    assert (sent == arguments) is not bool(places)
    assert "{{secret:OTHER}}" not in repr(sent)


# Hosts


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("https://api.example.com/x", {"api.example.com"}),
        ("see https://API.example.com. Or https://b.example:8443/", {"api.example.com", "b.example:8443"}),
        ("https://api.example.com:443/", {"api.example.com"}),
        ("http://api.example.com", {"http://api.example.com"}),
        ("http://localhost:3000/x", {"localhost:3000"}),
        ("https://api.example.com@evil.example/", {"evil.example"}),
        ("https://evil.example\\@api.example.com/", {UNREADABLE}),
        ("https:evil.example", {"evil.example"}),
        ("https:///evil.example/x", {"evil.example"}),
        ("https:\\\\evil.example/x", {"evil.example"}),
        ("https://api.example.com%2eevil.example/", {UNREADABLE}),
        ("https://api.ex\u0430mple.com/", {UNREADABLE}),
        ("https://api.example.com\n.evil.example/", {"api.example.com", "api.example.com.evil.example"}),
        ("ht\ntps://evil.example/", {"evil.example"}),
        ("https:\n//evil.example/", {"evil.example"}),
        ("//evil.example/x", {"evil.example"}),
        ("evil.example", {"evil.example"}),
        ("evil.example/path?x=1", {"evil.example"}),
        ("10.0.0.1:99", {"10.0.0.1:99"}),
        ("https://2130706433/", {"2130706433"}),
        ("https://[::1]:8080/", {"[::1]:8080"}),
        ("ssh://git@evil.example/x", {"evil.example"}),
        ("a plain sentence. With two parts", set()),
        ("Write to joe@example.com", set()),
        ("{{secret:TOKEN}}", set()),
    ],
)
def test_hosts_are_read_as_the_program_that_goes_there_would(text: str, hosts: set[str]) -> None:
    assert hosts <= hosts_in({"a": [text]})
    assert bool(hosts) is bool(hosts_in({"a": [text]}))


def test_an_argument_named_for_a_host_is_one() -> None:
    assert hosts_in({"server": "intranet", "baseUrl": "intra.example/x"}) == {"intranet", "intra.example"}
    assert hosts_in({"host": "{{secret:TOKEN}}", "file_path": "report.pdf"}) == frozenset()


@given(st.text(max_size=60))
def test_any_text_has_hosts_that_can_be_told(text: str) -> None:
    for scheme in ("", "https://", "host:", "\\\\"):
        assert all(host for host in hosts_in({"url": scheme + text}))


# Audiences


def test_an_audience_is_read_from_fleet_md() -> None:
    text = (
        "---\nsecrets:\n  GH:\n    tools: [github__create]\n    arguments: [/headers/Authorization, token]\n"
        "    hosts: [API.github.com]\n  BARE:\n---\n"
    )
    found = load_audiences(MappingReader({"fleet.md": text}))
    assert found.listed == ("GH", "BARE") and set(found.by_name) == {"GH"}
    audience = found.by_name["GH"]
    assert audience.allows("github__create", "/token", ["api.github.com"])
    assert audience.allows("github__create", "/token/0/x", [])
    assert not audience.allows("github__create", "/headers/authorization", [])
    assert not audience.allows("github__create", "/tokens", [])
    assert [(p.line, p.file) for p in found.problems] == [(2, "fleet.md")]


@pytest.mark.parametrize(
    "value",
    [
        "GH",
        {"GH": "all"},
        {"GH": {"tools": "github"}},
        {"GH": {"tools": ["a"], "hosts": ["b"]}},
        {"GH": {"tools": ["a"], "arguments": ["b"], "host": ["c"]}},
        {"GH": {"tools": [], "arguments": ["b"]}},
        {"GH": {"tools": [1], "arguments": ["b"]}},
        {"gh": {"tools": ["a"], "arguments": ["b"]}},
        ["GH"],
    ],
)
def test_what_is_no_audience_goes_nowhere_and_says_so(value: Any) -> None:
    found = parse_audiences(value, 7)
    assert found.by_name == {} and [p.line for p in found.problems] == [7]


@pytest.mark.parametrize("data", ["---\nsecrets: {A: [}\n---\n", b"---\nsecrets:\n  A: \xff\n---\n", "---\nx: 1\n"])
def test_a_file_that_cannot_be_read_sends_no_secret_anywhere(data: str | bytes) -> None:
    found = load_audiences(MappingReader({"fleet.md": data}))
    assert found.by_name == {} and found.problems


def test_any_host_is_a_star_and_no_tool_is() -> None:
    audience = Audience(frozenset({"*"}), ("*",), frozenset({"*"}))
    assert not audience.allows("a", "/x", [])
    assert Audience(frozenset({"a"}), ("/*",), frozenset({"*"})).allows("a", "/x", ["h", UNREADABLE])


@given(st.dictionaries(st.text(max_size=6) | st.just("GH"), JSON, max_size=3) | JSON)
def test_any_value_of_the_key_is_read(value: Any) -> None:
    found = parse_audiences(value)
    assert all(audience.tools and audience.arguments for audience in found.by_name.values())
