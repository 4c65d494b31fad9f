"""The block that answers a question: ``### <Approved|Denied|Redacted|Revised|Auto-decided|Answered|Withdrawn> by
<name>``.

It stands under the last ``## Resolution`` of the file, may be written in any editor, and the first one wins. What was
clearly meant as such a block and is not one is a `Problem` with its line: nobody guesses whether it was a yes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from argosy_core.frontmatter.render import render_head
from argosy_core.sections import Line, code_blocks, end_of, fence_for, headings, lines_of
from argosy_core.yamltext import YamlProblem, load_map

TITLE = "Resolution"
NOT_COUNTED = "This was written here by nobody who was there, and did not count:"
_VERBS = ("Approved", "Denied", "Redacted", "Revised", "Auto-decided", "Answered", "Withdrawn")
_HEADER = re.compile(rf"### ({'|'.join(_VERBS)}) by (\S.*)")
# "Approved by", "## approve by", "**Denied by": what a person means who writes it from memory.
_MEANT = re.compile(
    r"[^a-z0-9<]{0,12}(?:approved?|denied|deny|redact(?:ed)?|revised?|auto.?decided?|answer(?:ed)?|withdrawn?)[^\w<]{1,6}by\b",
    re.IGNORECASE,
)
_FIELD = re.compile(r"(?:[-*] )?(resolved_at|note|reason|choice|outcome|attended|amendment):[ \t]*(.*)")


@dataclass(frozen=True, slots=True)
class Problem:
    """What keeps a file from being read as a question, on which line (counted from 1)."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """A block as it stands in the file; *line* counts from 1."""

    verb: str
    by: str
    line: int
    fields: Mapping[str, str]
    amendment: Mapping[str, Any] | None = None


def find_resolution(body: str, body_line: int) -> Resolution | Problem | None:
    """The block that answers, what is wrong with it, or None while there is none.

    *body_line* is the line of the file that *body* begins on.
    """
    places = _places(body)
    meant = [line for line in _visible(lines_of(body)) if _MEANT.match(line.text) or _is_heading_in(places, line)]
    if not places:
        return Problem(body_line + meant[0].number, f"there is no ## {TITLE} above this") if meant else None
    # The last one counts: text of an agent that slipped in above cannot pose as the place where people answer.
    start, end = places[-1]
    answers = [line for line in meant if line.start >= start]
    if not answers:
        return None
    if any(begin <= line.start < stop for line in meant for begin, stop in places[:-1]):
        return Problem(body_line + answers[0].number, f"this is answered under two ## {TITLE} headings")
    return _block(body, body_line, answers[0], end)


def _block(body: str, body_line: int, first: Line, end: int) -> Resolution | Problem:
    line, header = body_line + first.number, _HEADER.fullmatch(first.text.rstrip())
    if first.start >= end:
        return Problem(line, f"an answer stands under ## {TITLE}, not below another heading")
    if header is None or header[2].startswith("<"):
        return Problem(line, f"not the heading of an answer: write ### {_VERBS[0]} by your name (or {_others()})")
    block = body[first.end : _block_end(body, first.end)]
    try:
        return Resolution(header[1], header[2], line, _fields(block), _amendment(block, line))
    except YamlProblem as problem:
        return Problem(problem.line, f"the amendment is not YAML: {problem.reason}")


def render_resolution(verb: str, by: str, fields: Mapping[str, str], amendment: Mapping[str, Any] | None) -> str:
    """A block; every value is written so that `find_resolution` reads it back."""
    lines = [f"### {verb} by {by}", "", *(f"{name}: {_written(value)}" for name, value in fields.items())]
    if amendment is not None:
        yaml = render_head(amendment)
        fence = fence_for(yaml)
        lines += ["amendment:", "", f"{fence}yaml", yaml.removesuffix("\n"), fence]
    return "\n".join(lines) + "\n"


def add_block(text: str, body: str, block: str) -> str:
    """*text*, whose body is *body*, with *block* at the end of its resolution."""
    eol = "\r\n" if "\r\n" in text else "\n"
    block = block.replace("\n", eol)
    places = _places(body)
    if not places:
        gap = "" if not body or body.endswith("\n") else eol
        return f"{text}{gap}{eol}## {TITLE}{eol}{eol}{block}"
    at = places[-1][1]
    before, after = body[:at].rstrip(), body[at:]
    head = text[: len(text) - len(body)]
    return f"{head}{before}{eol}{eol}{block}{eol if after else ''}{after}"


def set_aside(text: str, body: str) -> str:
    """*text*, whose body is *body*, with all below its last resolution heading kept as code: it answers nothing."""
    places = _places(body)
    if not places:
        return text
    start, eol = places[-1][0], "\r\n" if "\r\n" in text else "\n"
    said = body[start:].strip()
    fence = fence_for(said)
    kept = eol.join(("", NOT_COUNTED, "", f"{fence}text", said, fence, ""))
    return f"{text[: len(text) - len(body)]}{body[:start]}{kept}"


def _places(body: str) -> list[tuple[int, int]]:
    found = headings(body)
    return [(h.end, end_of(h, found, body)) for h in found if h.level == 2 and h.text == TITLE]


def _is_heading_in(places: Sequence[tuple[int, int]], line: Line) -> bool:
    return line.text.startswith("### ") and any(start <= line.start < end for start, end in places)


def _visible(lines: Iterable[Line]) -> Iterator[Line]:
    """Lines of text that a reader sees: no code, no comment."""
    commented = False
    for line in lines:
        if line.kind != "text":
            continue
        commented = commented or line.text.lstrip().startswith("<!--")
        if not commented:
            yield line
        commented = commented and "-->" not in line.text


def _block_end(body: str, start: int) -> int:
    return next((h.start for h in headings(body) if h.start >= start), len(body))


def _fields(block: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in _visible(lines_of(block)):
        match = _FIELD.fullmatch(line.text)
        if match:
            current = [match[2].strip()] if match[1] not in found else None
            found.setdefault(match[1], current or [])
        elif not line.text.strip():
            current = None
        elif current is not None:
            current.append(line.text.strip())
    return {name: _read("\n".join(parts).strip()) for name, parts in found.items()}


def _amendment(block: str, line: int) -> dict[str, Any] | None:
    named = next((x for x in lines_of(block) if x.kind == "text" and x.text.strip().startswith("amendment:")), None)
    codes = [code for code in code_blocks(block) if named is not None and code.line > named.number]
    return load_map(codes[0].text + "\n", line + codes[0].line + 2) if codes else None


def _written(value: str) -> str:
    plain = bool(value) and value == " ".join(value.split()) and value[0] not in '"`~' and _read(value) == value
    return value if plain else json.dumps(value, ensure_ascii=False)


def _read(value: str) -> str:
    if value.startswith('"'):
        try:
            found = json.loads(value)
        except ValueError:
            return value
        return found if isinstance(found, str) else value
    return value


def _others() -> str:
    return ", ".join(_VERBS[1:])
