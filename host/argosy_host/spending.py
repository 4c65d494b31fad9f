"""What a run spends on models: set aside before each call, settled after it, and in the log whatever came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError, BudgetExhausted, DeadlineExceeded, Unavailable
from argosy_core.policy.grants import MONEY, Spend
from argosy_core.policy.money import nano_usd, usd
from argosy_host.gating.settling import settle
from argosy_host.progress import Progress
from argosy_host.providers.base import Message, Model, ModelReply, ModelRequest, TextSink, Usage
from argosy_host.providers.prices import cost_usd, estimate_usd
from argosy_host.runs import Run

BYTES_PER_TOKEN = 2  # more tokens than any tokenizer makes of text in any script (`providers.prices`)
RECEIVED = "received_characters"  # in an error's detail: the reply had begun, so it is billed


class Fallback(Exception):
    """Raised when a cap lets only the agent's fallback model be used; *model* is its name."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


class Spending:
    """The model calls of one run."""

    def __init__(self, run: Run, clock: Clock, progress: Progress) -> None:
        self._run = run
        self._clock = clock
        self._progress = progress
        self._told: set[str] = set()

    async def complete(self, model: Model, request: ModelRequest, on_text: TextSink) -> ModelReply:
        """One turn of *model*, paid for.

        Raises BudgetExhausted (a cap), Fallback, Unavailable (the judge or the log does not answer), and what
        `Model.complete` raises: then what it spent is settled and logged all the same.
        """
        prompt_bytes = count_bytes(request)
        held = _most(request, prompt_bytes)
        await self._hold(request, held)
        try:
            reservation = await self._reserve(request, held)
        except BaseException:
            self._run.purse.settle(held, Spend())
            raise
        began = self._clock.monotonic()
        try:
            reply = await model.complete(request, on_text)
        except ArgosyError as error:
            usage = _used_in_vain(error, prompt_bytes)
            await self._settle(reservation, held, request.model, usage)
            await self._log(request.model, usage, self._ms_since(began), {"status": "error", "error": error.code})
            raise
        except BaseException:
            await settle(self._run, reservation, None)  # nobody knows how far it came: as estimated
            raise
        await self._settle(reservation, held, reply.model or request.model, reply.usage)
        told = {"stop": reply.stop, "request_id": reply.request_id}
        await self._log(reply.model or request.model, reply.usage, self._ms_since(began), told)
        return reply

    async def _hold(self, request: ModelRequest, held: Spend) -> None:
        """Set *held* aside of the run's own grant, and of those above. Raises BudgetExhausted; that is in the log."""
        try:
            self._run.purse.hold(held)
        except BudgetExhausted as error:
            with suppress(ArgosyError):  # a log that takes no line lets nothing through by that
                await self._run.log("budget.refused", _refusal(error, request.model, held))
            raise

    async def _reserve(self, request: ModelRequest, held: Spend) -> str:
        estimate = {"usd": usd(held.usd), "tokens": held.tokens, "model": request.model}
        arguments = {"run": self._run.id, "estimate": estimate}
        outcome = await self._run.fleet.call("judge_reserve", arguments, self._run.token)
        if outcome.is_error or outcome.structured is None:
            error = outcome.error() if outcome.is_error else Unavailable("the judge did not answer")
            if isinstance(error, BudgetExhausted) and error.detail.get("action") == "fallback":
                raise Fallback(str(error.detail["model"]))
            raise error
        for warning in outcome.structured.get("warnings") or ():
            if warning not in self._told:
                self._told.add(warning)
                self._progress.problem(f"budget: {warning}")
        return str(outcome.structured["reservation"])

    async def _settle(self, reservation: str, held: Spend, model: str, usage: Usage) -> None:
        cost, estimated = cost_usd(model, usage)
        run = self._run
        run.usage += usage
        run.cost_usd += cost
        run.purse.settle(held, Spend(usd=nano_usd(cost), tokens=tokens_of(usage)))
        run.cost_estimated |= estimated
        self._progress.spent(run.usage.input_tokens, run.usage.output_tokens, run.cost_usd)
        await settle(run, reservation, cost, tokens_of(usage))

    async def _log(self, model: str, usage: Usage, milliseconds: float, told: Mapping[str, Any]) -> None:
        cost, estimated = cost_usd(model, usage)
        await self._run.log(
            "model.call",
            {
                "primitive": "other",
                "iteration": self._run.iterations,
                "model": model,
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cache_hit_tokens": usage.cache_read,
                "cache_miss_tokens": usage.cache_write,
                "cost_usd": round(cost, 6),
                "cost_estimated_via_fallback": estimated or None,
                "latency_ms": round(milliseconds, 1),
                **told,
            },
        )

    def _ms_since(self, began: float) -> float:
        return (self._clock.monotonic() - began) * 1000


def _refusal(error: BudgetExhausted, model: str, held: Spend) -> dict[str, Any]:
    """What the log says of a call that the run's grant does not hold, in the fields that the judge has for caps."""
    is_money = error.detail.get("limit") in MONEY
    attempted, cap = (usd(n) if is_money else n for n in (error.detail["attempted"], error.detail["cap"]))
    return {
        "primitive": "policy_decision", "payer": "actor", "model": model, "wanted_usd": usd(held.usd),
        "wanted_tokens": held.tokens, "reason": error.message, "error": error.code,
        "policy_decision": {
            "decision_kind": "deny", "denying_layer": "per_call", "axis": "cost_cap",
            "cap_dimension": f"cumulative_{'usd' if is_money else 'tokens'}", "attempted_value": attempted,
            "effective_cap": cap, "source": "the run's grant", "enforced": True,
        },
    }  # fmt: skip


def _most(request: ModelRequest, prompt_bytes: int) -> Spend:
    """What one turn uses at most."""
    cost, _ = estimate_usd(request.model, prompt_bytes, request.max_output_tokens)
    return Spend(nano_usd(cost), -(-prompt_bytes // BYTES_PER_TOKEN) + request.max_output_tokens)


def tokens_of(usage: Usage) -> int:
    """All tokens of *usage*, as a grant counts them."""
    return usage.input_tokens + usage.output_tokens + usage.cache_read + usage.cache_write


def count_bytes(request: ModelRequest) -> int:
    """How many bytes of UTF-8 a request sends, about: text, tools and what was said before."""
    texts = sum(len(part.text.encode("utf-8", "replace")) for part in request.system)
    tools = sum(
        len(tool.name) + len(tool.description.encode()) + _json_bytes(tool.input_schema) for tool in request.tools
    )
    return texts + tools + sum(_message_bytes(message) for message in request.messages)


def _message_bytes(message: Message) -> int:
    calls = sum(len(call.name) + _json_bytes(call.arguments) for call in message.calls)
    returns = sum(len(result.text.encode("utf-8", "replace")) for result in message.returns)
    # The provider's own form of a turn may hold more than its text: thinking, signatures.
    native = len(repr(message.native)) if message.native is not None else 0
    return len(message.text.encode("utf-8", "replace")) + calls + returns + native


def _json_bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace"))


def _used_in_vain(error: ArgosyError, prompt_bytes: int) -> Usage:
    """What a call that failed was billed for: nothing when it was refused, what arrived when it broke off."""
    received: Any = error.detail.get(RECEIVED)
    if received is None and not isinstance(error, DeadlineExceeded):
        return Usage()
    prompt_tokens = -(-prompt_bytes // BYTES_PER_TOKEN)
    output_tokens = -(-received // BYTES_PER_TOKEN) if isinstance(received, int) else 0
    return replace(Usage(), input_tokens=prompt_tokens, output_tokens=output_tokens)
