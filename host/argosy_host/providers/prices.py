"""What a request cost, by the list prices in `prices.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import NamedTuple, NotRequired, TypedDict

from argosy_host.providers.base import Usage

_TOKENS_PER_PRICE = 1_000_000
_BYTES_PER_TOKEN = 2
# What may follow a listed name and still be that very model: nothing, a date, or "latest".
_SAME_MODEL = re.compile(r"([-@]\d{8}|-latest)?")
_NAME_ENDS = ("", "-", "@", ":", "[")


class _LongPrompt(TypedDict):
    above_tokens: int
    input: float
    output: float


class _Entry(TypedDict):
    input: float
    output: float
    long_prompt: NotRequired[_LongPrompt]


class _PriceList(TypedDict):
    date: str
    source: str
    cache_read_share: float
    cache_write_share: float
    models: Mapping[str, _Entry]


class _Rate(NamedTuple):
    """USD per million tokens."""

    input: float
    output: float


def cost_usd(model: str, usage: Usage) -> tuple[float, bool]:
    """The cost of one request, and whether it is estimated.

    The longest listed name that begins *model* prices it. A dated name is that model; any other ending is priced like
    its family and estimated; a name of no family is priced at the dearest known rate and estimated. Give the usage of
    one request, not a sum: some models charge more for a long prompt.
    """
    prices = _prices()
    rate, estimated = _rate(model, usage)
    input_tokens = (
        usage.input_tokens
        + usage.cache_read * prices["cache_read_share"]
        + usage.cache_write * prices["cache_write_share"]
    )
    return (input_tokens * rate.input + usage.output_tokens * rate.output) / _TOKENS_PER_PRICE, estimated


def estimate_usd(model: str, prompt_bytes: int, max_output_tokens: int) -> tuple[float, bool]:
    """What one request costs at most, before it is made, and whether a price had to be guessed.

    Every two bytes of the prompt (UTF-8) count as a token, more than tokenizers make of text in any script; it is taken
    to be written to the cache, the dearest that can happen to it, and the output to be as long as it may be.
    """
    prompt_tokens = -(-prompt_bytes // _BYTES_PER_TOKEN)
    return cost_usd(model, Usage(cache_write=prompt_tokens, output_tokens=max_output_tokens))


def _rate(model: str, usage: Usage) -> tuple[_Rate, bool]:
    listed = _prices()["models"]
    name = max((known for known in listed if _begins(known, model)), key=len, default=None)
    if name is None:
        return _dearest(), True
    prompt_tokens = usage.input_tokens + usage.cache_read + usage.cache_write
    return _rate_of(listed[name], prompt_tokens), _SAME_MODEL.fullmatch(model, len(name)) is None


def _begins(known: str, model: str) -> bool:
    return model.startswith(known) and model[len(known) : len(known) + 1] in _NAME_ENDS


def _rate_of(entry: _Entry, prompt_tokens: int) -> _Rate:
    long = entry.get("long_prompt")
    if long is not None and prompt_tokens > long["above_tokens"]:
        return _Rate(long["input"], long["output"])
    return _Rate(entry["input"], entry["output"])


@cache
def _dearest() -> _Rate:
    entries = _prices()["models"].values()
    return _Rate(max(entry["input"] for entry in entries), max(entry["output"] for entry in entries))


@cache
def _prices() -> _PriceList:
    text = resources.files("argosy_host.providers").joinpath("prices.json").read_text(encoding="utf-8")
    prices: _PriceList = json.loads(text)
    return prices
