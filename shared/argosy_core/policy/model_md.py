"""Parser of ``model.md``: which model an agent wants and what it may cost (the older system's format).

Read are fenced YAML, ``key: value`` lines, and the prose of the older samples: ``## Default model`` and then the name
in bold or code, rows of a token table. It is no policy of the gate, so what cannot be read is listed as a problem and
the default stands; a broken cost block is an error, and who meters must not take the defaults for the owner's wish.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from argosy_core.frontmatter import parse
from argosy_core.frontmatter.page import HEAD_LINE
from argosy_core.policy.checks import Checks, Read
from argosy_core.policy.entries import Entry, Item, items, without_remark, yaml_entries
from argosy_core.policy.errors import PolicyInvalid, Problem
from argosy_core.policy.markdown import Document, Fence, Line, Section, code_spans, read_markdown, tidy
from argosy_core.yamltext import YamlProblem, is_list

Action = Literal["skip", "fallback", "alert"]
_GUARDRAILS = "cost_guardrails"
_ACTIONS = ("skip", "fallback", "alert")
_CHANNELS = ("telegram", "email", "journal", "log_only")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._:/@-]*[0-9A-Za-z]")
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_NUMBER = re.compile(r"\d{1,3}(?:[,_]\d{3})+|\d+(?:\.\d+)?")
# Labels of the older samples' token table and notes.
_LABELS = (
    ("max system prompt", "max_input_tokens"),
    ("max input", "max_input_tokens"),
    ("max output", "max_output_tokens"),
    ("temperature", "temperature"),
)


@dataclass(frozen=True, slots=True)
class CostGuardrails:
    """Caps in US dollars, None is no cap; an action is what happens when a cap is reached."""

    enabled: bool = False
    daily_cap_usd: float | None = None
    monthly_cap_usd: float | None = None
    daily_cap_action: Action = "skip"
    monthly_cap_action: Action = "alert"
    warning_thresholds: tuple[float, ...] = (0.5, 0.8)
    alert_channel: str = "log_only"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What ``model.md`` says; defaults where it says nothing."""

    default_model: str | None = None
    fallback_model: str | None = None
    provider: str | None = None
    max_input_tokens: int = 12_000
    max_output_tokens: int = 4_000
    temperature: float = 0.6
    cost_guardrails: CostGuardrails = field(default_factory=CostGuardrails)
    problems: tuple[Problem, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems for which nothing may be spent until they are mended."""
        return tuple(problem for problem in self.problems if problem.severity == "error")


def parse_model(text: str) -> ModelFile:
    """What *text* says. Never raises for what it holds."""
    reading = _Reading()
    page = parse(text)
    reading.yaml(Fence("yaml", page.raw_head, HEAD_LINE))
    if page.problem and not reading.problems:
        reading.problem(*page.problem, "mend the frontmatter", error=_GUARDRAILS in page.raw_head)
    document = read_markdown(page.body, page.body_line)
    if document.open_line is not None:
        broken = _GUARDRAILS in text
        reading.problem(document.open_line, "what begins here is never closed", "close it", error=broken)
    for section in document.sections:
        reading.section(section)
    for key, name in _in_prose(document):
        reading.values.setdefault(key, name)
    return ModelFile(**reading.values, problems=tuple(reading.problems))


class _Reading:
    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self._checks = Checks("model.md")
        self._readers: Mapping[str, Read] = {
            "default_model": self._checks.text,
            "fallback_model": lambda e: None if e.value is None and not e.is_map else self._checks.text(e),
            "provider": self._checks.text,
            "max_input_tokens": self._checks.positive_int,
            "max_output_tokens": self._checks.positive_int,
            "temperature": lambda e: _temperature(e, self._checks),
            _GUARDRAILS: lambda e: self._checks.record(e, _guardrail_readers(self._checks), CostGuardrails),
        }

    def problem(self, line: int, message: str, fix: str = "", *, error: bool = False) -> None:
        self.problems.append(Problem(line, message, "error" if error else "warning", fix))

    def section(self, section: Section) -> None:
        for fence in section.fences:
            if fence.language in ("yaml", "yml"):
                self.yaml(fence)
        for item in items(section.lines):
            self._line(item)

    def yaml(self, fence: Fence) -> None:
        try:
            for entry in yaml_entries(fence.text, fence.line):
                self._take(entry)
        except YamlProblem as problem:
            self.problem(problem.line, problem.reason, "mend the YAML", error=_GUARDRAILS in fence.text)

    def _line(self, item: Item) -> None:
        key = item.key.strip().lower().replace(" ", "_")
        if key == _GUARDRAILS:
            below = [Entry(child.key, child.line, _typed(child.text)) for child in item.children]
            self._take(Entry(key, item.line, None, tuple(below), True))
        elif key in self._readers and key != "temperature":
            self._take(Entry(key, item.line, _typed(item.text)))
        else:
            self._labelled(Line(item.line, item.text if item.text.startswith("|") else f"{item.key} | {item.text}"))

    def _labelled(self, line: Line) -> None:
        label, _, rest = tidy(line.text).strip(" |").partition("|")
        key = next((key for start, key in _LABELS if label.strip().lower().startswith(start)), None)
        number = _NUMBER.search(rest)
        if key and number and key not in self.values:
            self._take(Entry(key, line.number, _typed(number.group())))

    def _take(self, entry: Entry) -> None:
        read = self._readers.get(entry.key)
        if read is None:
            return
        if entry.key in self.values:
            self.problem(entry.line, f"{entry.key} is set a second time", "keep one", error=entry.key == _GUARDRAILS)
            return
        try:
            self.values[entry.key] = read(entry)
        except PolicyInvalid as exc:
            self.problem(exc.line, exc.reason, exc.hint or "mend the value", error=entry.key == _GUARDRAILS)


def _guardrail_readers(checks: Checks) -> Mapping[str, Read]:
    return {
        "enabled": checks.boolean,
        "daily_cap_usd": checks.number_or_none,
        "monthly_cap_usd": checks.number_or_none,
        "daily_cap_action": lambda e: checks.choice(e, _ACTIONS),
        "monthly_cap_action": lambda e: checks.choice(e, _ACTIONS),
        "warning_thresholds": lambda e: _thresholds(e, checks),
        "alert_channel": lambda e: checks.choice(e, _CHANNELS),
    }


def _thresholds(entry: Entry, checks: Checks) -> tuple[float, ...]:
    given = entry.value if is_list(entry.value) else [entry.value]
    shares = [float(share) for share in given if isinstance(share, int | float) and not isinstance(share, bool)]
    if len(shares) < len(given) or not all(0 < share <= 1 for share in shares):
        checks.expected(entry, "a list of shares above 0 and up to 1, such as [0.5, 0.8]")
    return tuple(shares)


def _temperature(entry: Entry, checks: Checks) -> float:
    value = checks.number(entry)
    if value > 2:
        checks.expected(entry, "a number from 0 to 2")
    return float(value)


def _typed(text: str) -> Any:
    text = without_remark(text)
    try:
        return float(text) if "." in text else int(text.replace(",", "").replace("_", ""))
    except ValueError:
        return {"true": True, "yes": True, "false": False, "no": False, "": None, "null": None}.get(text.lower(), text)


def _in_prose(document: Document) -> Iterator[tuple[str, str]]:
    headings = {
        "default_model": ("default model", "default", "model"),
        "fallback_model": ("fallback", "fallback model"),
    }
    for key, names in headings.items():
        spans = (span for section in document.named(*names) for line in section.lines for span in _marked(line.text))
        name = next((tidy(span).strip() for span in spans if _NAME.fullmatch(tidy(span).strip())), None)
        if name:
            yield key, name


def _marked(text: str) -> list[str]:
    """What is set in code or bold, and the whole line where it is one word."""
    return [*code_spans(text), *_BOLD.findall(text), *([text.strip()] if len(text.split()) == 1 else [])]
