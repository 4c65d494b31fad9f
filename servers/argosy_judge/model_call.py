"""Asking a model through the client: what it may cost, how long it may take, what its reply says."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from argosy_core.budget.caps import judge_caps
from argosy_core.budget.ledger import Amount, Ledger, Open, explain_breach
from argosy_core.budget.ledgers import Ledgers, end_fields
from argosy_core.canonical import canonical_json, sha256_hex
from argosy_core.clock import rfc3339
from argosy_core.errors import ArgosyError, InvalidArgument
from argosy_core.policy.judgment import (
    COST_META,
    FAILURE_META,
    JudgeBudgetExhausted,
    JudgeError,
    JudgeUnavailable,
)
from argosy_core.policy.money import nano_usd
from argosy_core.serving.config import ServerConfig
from argosy_judge.hearing import Hearing
from argosy_judge.seats import Heard, aggregate, heard_failing, understand

UNPRICED_CALL_NANO = 50_000_000  # what a judgment is taken to cost at most where nobody says: five cents
TTL_SECONDS = 600
MAX_ASKED = 1_000
MAX_WHY_CHARS = 300


class ModelCalls:
    """The judge's side of one completion."""

    def __init__(self, config: ServerConfig, ledgers: Ledgers) -> None:
        self._clock = config.clock
        self._ledgers = ledgers
        self._asked: dict[str, float] = {}
        self._guard = threading.Lock()

    async def reserve(self, hearing: Hearing) -> None:
        """Set aside what the completion costs at most; again for the same question changes nothing.

        Raises JudgeBudgetExhausted.
        """
        case = hearing.case
        assert case is not None
        budget, where = case.standing.policy.settings.budget, case.standing.policy.settings.where
        nano = UNPRICED_CALL_NANO if budget.per_action_usd is None else nano_usd(budget.per_action_usd)
        caps, now, stem = list(judge_caps(budget, where)), self._clock.now(), question_id(hearing)
        if budget.per_action_usd == 0:
            raise JudgeBudgetExhausted(f"a judgment may cost nothing ({where})")
        wanted = Open(Amount(nano), ("judge",), "", now + timedelta(seconds=TTL_SECONDS), case.situation.run)

        def set_aside(ledger: Ledger) -> tuple[Ledger, tuple[str, Open] | None]:
            name = _name(ledger, stem)
            if name in ledger.open:
                return ledger, None
            breaches = ledger.breaches(wanted.amount, caps, now)
            if breaches:
                raise JudgeBudgetExhausted(explain_breach(breaches[0]))
            dated = replace(wanted, day=ledger.today(wanted.purses, now))
            return ledger.reserve(name, dated), (name, dated)

        made = await self._ledgers.change(case.agent, set_aside)
        if made is not None:
            name, dated = made
            fields = {
                "reservation_id": name, "run_id": dated.run, "payer": "judge", "estimate": [*dated.amount],
                "purses": [*dated.purses], "day": dated.day, "until": rfc3339(dated.until),
            }  # fmt: skip
            await self._ledgers.log(case.agent, "budget.reserve", fields)
        self._remember(stem)

    async def settle(self, hearing: Hearing, answer: Heard) -> Heard:
        """Settle what was set aside: at what the reply says it cost, at nothing when nobody was asked."""
        case, stem = hearing.case, question_id(hearing)
        assert case is not None
        try:
            ledger = await self._ledgers.current(case.agent)
            name = _name(ledger, stem)
            known = ledger.open.get(name)
            if known is None:
                return replace(answer, cost_nano=max(0, answer.cost_nano))
            nano = known.amount.nano if answer.cost_nano < 0 else answer.cost_nano
            fields = end_fields(name, known, Amount(nano))
            await self._ledgers.log(case.agent, "budget.settle", fields, key=f"settle:{name}")
            await self._ledgers.change(case.agent, lambda found: (found.settle(name, Amount(nano)), None))
        except ArgosyError as error:
            return heard_failing(case, JudgeUnavailable(f"the judge's cost cannot be kept: {error.message}"))
        finally:
            self._forget(stem)
        return replace(answer, cost_nano=nano)

    def read(self, hearing: Hearing, text: str, model: str | None, meta: Mapping[str, Any] | None) -> Heard:
        """What a reply says; a failure for one that is none, or came too late."""
        case, question = hearing.case, hearing.question
        assert case is not None and question is not None
        cost = _cost(meta)
        try:
            _check_made(meta)
            self._check_time(hearing)
            answer = understand(text, question.seats)
        except JudgeError as error:
            return replace(heard_failing(case, error), model_id=model, cost_nano=cost)
        opinion = aggregate(answer.votes, case.standing.policy.settings.aggregation)
        return Heard(opinion, answer.votes, answer.amendment, model, cost)

    def unheard(self, hearing: Hearing, reason: str) -> Heard | None:
        """The failure that it is when the model cannot be asked; None when none is to be."""
        if hearing.question is None or hearing.case is None:
            return None
        return heard_failing(hearing.case, JudgeUnavailable(f"a model should judge, and {reason}"))

    def _check_time(self, hearing: Hearing) -> None:
        assert hearing.case is not None
        began, allowed_ms = self._asked.get(question_id(hearing)), hearing.case.standing.policy.settings.timeout_ms
        if began is not None and (self._clock.monotonic() - began) * 1000 > allowed_ms:
            raise JudgeUnavailable(f"the model did not answer within {allowed_ms} ms")

    def _remember(self, stem: str) -> None:
        with self._guard:
            if len(self._asked) >= MAX_ASKED:
                del self._asked[next(iter(self._asked))]
            self._asked.setdefault(stem, self._clock.monotonic())

    def _forget(self, stem: str) -> None:
        with self._guard:
            self._asked.pop(stem, None)


def _check_made(meta: Mapping[str, Any] | None) -> None:
    """Raises JudgeUnavailable when the client says that it has no completion to give."""
    why = (meta or {}).get(FAILURE_META)
    if why is not None:
        raise JudgeUnavailable(" ".join(str(why).split())[:MAX_WHY_CHARS])


def question_id(hearing: Hearing) -> str:
    """What names the asking of one question: the same over all rounds of one call, another for another question."""
    case, question = hearing.case, hearing.question
    assert case is not None and question is not None
    proposal = case.proposal
    parts = [
        case.agent, case.situation.run, proposal.tool_call_id, proposal.arguments_hash, proposal.revision_of,
        hearing.standing.version, question.case, question.system,
    ]  # fmt: skip
    return "j" + sha256_hex(canonical_json(parts))[:30]


def _name(ledger: Ledger, stem: str) -> str:
    """The reservation of the question now: a question asked again after it was settled is a new expense."""
    at = 1
    while f"{stem}-{at}" in ledger.closed:
        at += 1
    return f"{stem}-{at}"


def _cost(meta: Mapping[str, Any] | None) -> int:
    """What the client says that its completion cost, in billionths; -1 when it does not say."""
    stated = (meta or {}).get(COST_META)
    if stated is None:
        return -1
    try:
        return nano_usd(stated, COST_META)
    except InvalidArgument:
        return -1
