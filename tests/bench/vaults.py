"""Vaults of a size, made quickly: words by Zipf's law, so that rare, middling and common ones exist."""

from __future__ import annotations

import itertools
import json
import random
from datetime import date, timedelta
from pathlib import Path

WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("ra", "lin", "to", "vek", "sun", "dor", "mi")]
TYPES = ("user", "feedback", "project", "decision", "reference")


class Prose:
    """Deterministic text over a few hundred stems with numbered tails: about 20,000 different words."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._vocabulary = [f"{w}{n or ''}" for n in range(48) for w in WORDS]
        # Cumulative, or each draw would add up 20,000 numbers in the middle of what is measured.
        self._cumulative = list(itertools.accumulate(1 / (rank + 10) for rank in range(len(self._vocabulary))))

    def words(self, count: int) -> list[str]:
        return self._random.choices(self._vocabulary, cum_weights=self._cumulative, k=count)

    def query(self) -> str:
        """Two to four words of mixed rarity."""
        band = self._random.choice(((0, 50), (50, 1000), (1000, 15000)))
        first = self._vocabulary[self._random.randrange(*band)]
        return " ".join([first, *self.words(self._random.randint(1, 3))])


def make_agent(vault: Path, notes: int, seed: int = 1) -> Path:
    """An agent ``bench`` with *notes* notes in *vault*."""
    agent = vault / "bench"
    (agent / "memory").mkdir(parents=True)
    (agent / "model.md").write_text("# Model\n", encoding="utf-8")
    (agent / "persona").mkdir()
    (agent / "persona" / "IDENTITY.md").write_text("# Bench\n\nAnswers for measuring.\n", encoding="utf-8")
    prose = Prose(seed)
    start = date(2024, 1, 1)
    for number in range(notes):
        type_ = TYPES[number % 5]
        title = " ".join(prose.words(4))
        seen = start + timedelta(days=number % 900)
        (agent / "memory" / f"{type_}_seed_{number}.md").write_text(
            f"---\nschema_version: 1\nname: {title} {number}\ndescription: {' '.join(prose.words(10))}\ntype: {type_}\n"
            f"captured: {seen}\nlast_seen: {seen}\nsources:\n  - observation\nconfidence: medium\npinned: false\n"
            f"expires_at: null\nsupersedes: null\nsuperseded_by: null\ntags: [{prose.words(1)[0]}]\n---\n\n"
            f"{' '.join(prose.words(90))}\n",
            encoding="utf-8",
        )
    return vault


MODELS = ("small", "middling", "large")
EVENTS_OF_A_RUN = 8


def fill_chain(vault: Path, events: int, days: int = 20) -> list[str]:
    """*events* chained entries of runs in the log of ``bench``, as the server writes them; returns the runs' ids."""
    from argosy_core.canonical import NO_PREVIOUS
    from argosy_core.storage.chain_lines import make_entry

    draw = random.Random(5)
    prose = Prose(3)
    summaries = [" ".join(prose.words(8)) for _ in range(500)]
    previous, runs = NO_PREVIOUS, list[str]()
    for day in range(days):
        stamp = date(2026, 1, 1) + timedelta(days=day)
        folder = vault / "bench" / "log" / f"{stamp:%Y-%m}"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{stamp}.jsonl").open("wb") as file:
            for number in range(events * day // days, events * (day + 1) // days):
                second = (number - events * day // days) * 86_400 * days // events
                ts = f"{stamp}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000Z"
                if number % EVENTS_OF_A_RUN == 0:
                    runs.append(f"run-{stamp:%Y%m%d}-{second:06}-000000-{number:08x}")
                event = _event_of_run(number % EVENTS_OF_A_RUN, runs[-1], draw, summaries)
                entry, line = make_entry("bench", "host", number + 1, previous, ts, event, draw.randbytes(16))
                previous = bytes.fromhex(entry.hash)
                file.write(line)
    return runs


def _event_of_run(step: int, run: str, draw: random.Random, summaries: list[str]) -> dict[str, object]:
    if step == 0:
        return {"kind": "run.start", "run_id": run, "agent_name": "bench", "task": draw.choice(summaries)}
    if step == EVENTS_OF_A_RUN - 1:
        return {"kind": "run.end", "run_id": run, "status": "ok", "summary": draw.choice(summaries)}
    if step % 2:
        return {
            "kind": "model.call", "run_id": run, "model": draw.choice(MODELS), "input_tokens": draw.randrange(9000),
            "output_tokens": draw.randrange(900), "cost_usd": round(draw.random() / 10, 6),
            "latency_ms": draw.randrange(90, 9000), "status": "ok",
        }  # fmt: skip
    return {
        "kind": "tool", "run_id": run, "tool_name": f"tool_{draw.randrange(12)}", "call_id": f"c{step}",
        "status": draw.choice(("ok", "ok", "ok", "error")), "latency_ms": draw.randrange(1, 900),
        "summary": draw.choice(summaries),
    }  # fmt: skip


def fill_log(vault: Path, events: int) -> None:
    """*events* lines of the older system in the log of ``bench``, spread over days."""
    template = {
        "trigger": "cron", "model": "m", "input_tokens": 3000, "output_tokens": 500, "cost_usd": 0.01,
        "latency_ms": 2000, "status": "ok", "summary": "Daily brief",
    }  # fmt: skip
    days = max(1, events // 50_000)
    for day in range(days):
        stamp = date(2026, 1, 1) + timedelta(days=day)
        folder = vault / "bench" / "log" / f"{stamp:%Y-%m}"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{stamp}.jsonl").open("w", encoding="utf-8") as file:
            for number in range(events // days):
                file.write(json.dumps({"ts": f"{stamp}T07:00:00Z", "run_id": f"r-{day}-{number}", **template}) + "\n")
