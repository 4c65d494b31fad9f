"""A run's events as a tree."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy_log import trace
from argosy_log.events import LogEvent, read_line
from argosy_log.models import RunNode, RunTrace
from argosy_log.trace import build_trace


def ours(kind: str, run: str, second: int = 0, **fields: object) -> LogEvent:
    line = {"ts": f"2026-11-20T09:00:{second:02}.000Z", "kind": kind, "run_id": run, **fields}
    return parsed({**line, "stream": "caldwell", "writer": "host", "seq": second + 1, "hash": "00"})


def parsed(line: dict[str, object], stream: str = "caldwell") -> LogEvent:
    found = read_line(stream, json.dumps(line).encode())
    assert found is not None
    return found


def start(run: str, parent: str | None = None, second: int = 0, **fields: object) -> LogEvent:
    return ours(
        "run.start", run, second, parent_run_id=parent, agent_name="caldwell", task="Sort it", model="m", **fields
    )


def model_call(run: str, second: int, tokens: int = 10) -> LogEvent:
    figures = {"input_tokens": tokens, "output_tokens": 2, "cost_usd": 0.01, "latency_ms": 100}
    return ours("model.call", run, second, iteration=1, model="m", stop="tool_use", **figures)


RUN = [
    start("r"),
    model_call("r", 1),
    ours(
        "judgment", "r", 2, tool_name="memory_write", judgment={"outcome": "allow", "reason": "inside scope"},
        enforcement_action="run", binding={"tool_call_id": "c1"}, latency_ms=0.4,
    ),
    ours("memory.write", "r", 3, path="caldwell/memory/user_x.md"),
    ours("tool", "r", 4, call_id="c1", tool_name="memory_write", status="ok", latency_ms=12, summary="wrote user_x"),
]  # fmt: skip
END = ours(
    "run.end", "r", 5, status="ok", summary="Sorted", input_tokens=11, output_tokens=3, cost_usd=0.02, latency_ms=900
)


def test_a_run_is_its_steps_in_order_with_the_judges_word_on_each_call() -> None:
    tree = build_trace("r", [*RUN, END])
    assert [(s.kind, s.name, s.status, s.verdict) for s in tree.steps] == [
        ("model.call", "m", "tool_use", None),
        ("judgment", "memory_write", "run", "allow"),
        ("memory.write", "caldwell/memory/user_x.md", None, None),
        ("tool", "memory_write", "ok", "allow"),
    ]
    assert (tree.run, tree.agent, tree.status, tree.task, tree.model) == ("r", "caldwell", "ok", "Sort it", "m")
    assert (tree.started_at, tree.ended_at) == ("2026-11-20T09:00:00.000Z", "2026-11-20T09:00:05.000Z")
    assert tree.steps[1].detail == "inside scope"


def test_the_end_knows_the_totals_best() -> None:
    tree = build_trace("r", [*RUN, END])
    assert (tree.input_tokens, tree.output_tokens, tree.cost_usd, tree.latency_ms) == (11, 3, 0.02, 900)


def test_a_run_without_an_end_is_in_flight_and_its_totals_are_its_steps() -> None:
    tree = build_trace("r", [*RUN, model_call("r", 6)])
    assert (tree.status, tree.ended_at) == ("in_flight", None)
    assert (tree.input_tokens, tree.output_tokens, tree.cost_usd) == (20, 4, 0.02)


def test_a_run_that_was_taken_up_again_is_in_flight_until_it_ends_again() -> None:
    deferred = ours("run.end", "r", 5, status="deferred")
    assert build_trace("r", [*RUN, deferred]).status == "deferred"
    assert build_trace("r", [*RUN, deferred, start("r", second=7)]).status == "in_flight"
    assert build_trace("r", [*RUN, deferred, start("r", second=7), ours("run.end", "r", 8, status="ok")]).status == "ok"


def test_children_hang_below_their_parents() -> None:
    events = [start("r"), start("c1", "r", 1), start("c2", "r", 2), start("g", "c1", 3), END]
    tree = build_trace("r", events)
    assert [child.run for child in tree.children] == ["c1", "c2"]
    assert [child.run for child in tree.children[0].children] == ["g"]


def test_a_run_of_the_older_system_is_one_record_and_its_helpers() -> None:
    lines: Sequence[dict[str, object]] = [
        {"trigger": "helper", "parent_run_id": "r", "run_id": "r", "model": "small", "cost_usd": 0.1, "status": "ok",
         "input_tokens": 5, "latency_ms": 600, "ts": "2026-05-07T07:00:00.123-05:00", "summary": "Read the memo"},
        {"trigger": "cron", "run_id": "r", "model": "large", "cost_usd": 0.2, "status": "error", "input_tokens": 7,
         "latency_ms": 900, "ts": "2026-05-07T07:00:14-05:00", "summary": "Brief"},
        {"trigger": "helper", "parent_run_id": "r", "run_id": "h2", "model": "small", "status": "ok",
         "ts": "2026-05-07T07:00:15-05:00"},
    ]  # fmt: skip
    tree = build_trace("r", [parsed(line) for line in lines])
    assert (tree.status, tree.summary, tree.model, tree.agent) == ("error", "Brief", "large", "caldwell")
    assert (tree.input_tokens, round(tree.cost_usd, 3), tree.latency_ms) == (12, 0.3, 900)
    assert [step.detail for step in tree.steps] == ["Read the memo", "Brief"]
    assert [child.run for child in tree.children] == ["h2"]
    assert tree.started_at == "2026-05-07T12:00:00.123Z"


def test_a_run_known_only_from_what_happened_below_it_still_shows_that() -> None:
    tree = build_trace("r", [start("c", "r")])
    assert (tree.status, tree.agent, tree.started_at, [c.run for c in tree.children]) == ("unknown", None, None, ["c"])


def test_runs_that_name_each_other_as_parents_do_not_hang_the_trace() -> None:
    tree = build_trace("a", [start("a", "b"), start("b", "a"), start("a", "a"), start("c", "c")])
    assert [child.run for child in tree.children] == ["b"] and tree.children[0].children == []


def test_a_deep_or_long_tree_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "MAX_STEPS", 3)
    monkeypatch.setattr(trace, "MAX_DEPTH", 1)
    events = [start("r"), *(model_call("r", n) for n in range(5)), start("c", "r"), start("g", "c")]
    tree = build_trace("r", events)
    assert (len(tree.steps), tree.left_out) == (3, 2)
    assert (tree.children[0].children, tree.children[0].left_out) == ([], 1)
    assert tree.input_tokens == 50
    assert "… 2 more not shown" in tree.render()


def test_it_renders_as_an_indented_tree_one_line_a_step() -> None:
    events = [*RUN, start("c", "r", 6), ours("run.end", "c", 7, status="error", error="no\nway", cost_usd=0.5), END]
    assert build_trace("r", events, ["x:1 cannot be read"]).render().split("\n") == [
        "r caldwell ok 2026-11-20T09:00:00.000Z 900ms 11+3tok $0.0200 m",
        "  task: Sort it",
        "  summary: Sorted",
        "  09:00:01 model.call m tool_use 100ms 10+2tok $0.0100",
        "  09:00:02 judgment memory_write run allow 0.4ms — inside scope",
        "  09:00:03 memory.write caldwell/memory/user_x.md",
        "  09:00:04 tool memory_write ok allow 12ms — wrote user_x",
        "  c caldwell error 2026-11-20T09:00:06.000Z $0.5000 m",
        "    task: Sort it",
        "    error: no way",
        "In all: 2 runs, 14 tokens, $0.5200",
        "Note: x:1 cannot be read",
    ]


NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
ANY = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"kind": st.sampled_from(["run.start", "run.end", "tool", "judgment", "x"])},
            optional={"run_id": NAMES, "parent_run_id": NAMES, "status": ANY, "cost_usd": ANY, "judgment": ANY,
                      "latency_ms": ANY, "input_tokens": ANY, "binding": ANY, "call_id": ANY, "summary": ANY},
        ),
        max_size=25,
    )
)  # fmt: skip
def test_whatever_the_lines_say_the_tree_is_finite_and_travels_as_json(lines: list[dict[str, object]]) -> None:
    events = [parsed(line) for line in lines]
    tree = build_trace("a", events)
    assert json.loads(tree.model_dump_json(), parse_constant=pytest.fail)["run"] == "a"
    assert RunTrace.model_validate_json(tree.model_dump_json()) == tree
    runs = _runs(tree)
    assert len(runs) == len(set(runs))
    assert tree.render()


def _runs(node: RunNode) -> list[str]:
    return [node.run, *(run for child in node.children for run in _runs(child))]
