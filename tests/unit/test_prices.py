"""What a request costs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from typing import Any

import pytest

from argosy_host.providers.base import Usage
from argosy_host.providers.prices import cost_usd, estimate_usd

MILLION = 1_000_000


def listed() -> dict[str, Any]:
    return json.loads(resources.files("argosy_host.providers").joinpath("prices.json").read_text(encoding="utf-8"))


def test_input_and_output_are_priced_per_million_tokens() -> None:
    cost, estimated = cost_usd("claude-opus-5", Usage(input_tokens=MILLION, output_tokens=2 * MILLION))
    assert cost == pytest.approx(5 + 2 * 25)
    assert not estimated


def test_a_cached_read_costs_a_tenth_of_input_and_a_cache_write_a_quarter_more() -> None:
    read, _ = cost_usd("claude-sonnet-4-6", Usage(cache_read=MILLION))
    write, _ = cost_usd("claude-sonnet-4-6", Usage(cache_write=MILLION))
    assert read == pytest.approx(0.3)
    assert write == pytest.approx(3.75)


@pytest.mark.parametrize(
    "dated", ["claude-haiku-4-5-20251001", "claude-haiku-4-5@20251001", "claude-haiku-4-5-latest", "claude-haiku-4-5"]
)
def test_a_dated_name_is_the_model_it_dates(dated: str) -> None:
    assert cost_usd(dated, Usage(input_tokens=MILLION)) == (pytest.approx(1.0), False)


def test_the_longest_listed_name_wins() -> None:
    short, _ = cost_usd("claude-opus-5", Usage(input_tokens=MILLION))
    long, estimated = cost_usd("claude-opus-5-5-20260901", Usage(input_tokens=MILLION))
    assert (short, long, estimated) == (pytest.approx(5), pytest.approx(4), False)


def test_a_newer_member_of_a_family_is_priced_like_the_family_and_flagged() -> None:
    assert cost_usd("claude-sonnet-4-9", Usage(output_tokens=MILLION)) == (pytest.approx(15), True)


def test_a_name_that_only_begins_with_the_same_letters_is_unknown() -> None:
    like_the_family, _ = cost_usd("claude-opus-5", Usage(input_tokens=MILLION))
    cost, estimated = cost_usd("claude-opus-50", Usage(input_tokens=MILLION))
    assert cost > like_the_family
    assert estimated


def test_an_unknown_model_costs_the_dearest_known_rate_and_is_flagged() -> None:
    dearest_input = max(entry["input"] for entry in listed()["models"].values())
    dearest_output = max(entry["output"] for entry in listed()["models"].values())
    cost, estimated = cost_usd("somebody-elses-model", Usage(input_tokens=MILLION, output_tokens=MILLION))
    assert cost == pytest.approx(dearest_input + dearest_output)
    assert estimated


def test_the_offline_model_is_free() -> None:
    assert cost_usd("offline", Usage(MILLION, MILLION, MILLION, MILLION)) == (0, False)


def test_a_long_prompt_costs_more_where_the_list_says_so() -> None:
    at_the_limit, _ = cost_usd("claude-haiku-5-5", Usage(input_tokens=40_000, cache_read=60_000))
    above_it, _ = cost_usd("claude-haiku-5-5", Usage(input_tokens=40_001, cache_read=60_000))
    assert at_the_limit == pytest.approx((40_000 + 6_000) * 0.1 / MILLION)
    assert above_it == pytest.approx((40_001 + 6_000) * 0.5 / MILLION)


def test_the_list_says_when_it_was_made_and_not_to_rely_on_it() -> None:
    assert listed()["date"] == "2026-11-20"
    assert listed()["source"] == "list prices, check before relying"


def test_no_rate_is_negative_and_only_the_offline_model_is_free() -> None:
    for name, entry in listed()["models"].items():
        assert entry["output"] >= entry["input"] >= 0
        assert (entry["input"] == 0) == (name == "offline")


def test_pricing_needs_no_sdk() -> None:
    program = "import sys, argosy_host.providers.prices; sys.exit('anthropic' in sys.modules)"
    # Made equal by hand, because a child does not have the path that pytest made.
    path = f"import sys; sys.path[:0] = {sys.path!r}; "
    assert subprocess.run([sys.executable, "-c", path + program], timeout=30).returncode == 0


def test_an_estimate_is_no_less_than_what_it_can_come_to() -> None:
    for model in ("claude-opus-5", "claude-haiku-4-5", "unheard-of-1"):
        most, _ = estimate_usd(model, 30_000, 1_000)
        for usage in (
            Usage(input_tokens=10_000, output_tokens=1_000),
            Usage(cache_write=15_000, output_tokens=1_000),
            Usage(input_tokens=2_000, cache_read=9_000, output_tokens=10),
        ):
            assert cost_usd(model, usage)[0] <= most


def test_an_unknown_model_is_estimated_at_the_dearest_rate_and_said_to_be() -> None:
    dear = max(estimate_usd(model, 1_000, 100)[0] for model in listed()["models"])
    assert estimate_usd("unheard-of-1", 1_000, 100) == (pytest.approx(dear), True)
    assert estimate_usd("claude-opus-5", 1_000, 100)[1] is False
