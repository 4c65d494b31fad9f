"""The form of a question's file: fields in the head, what is asked and where it is answered below.

Sections: ``## Proposal`` (what the answer is bound to, as fenced JSON), ``## Judge's reason for escalating`` or
``## Question``, ``## Options``, ``## How to answer``, ``## Resolution``. What an agent wrote stands in a quote, line by
line, so that none of it can be a heading, a fence or an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from argosy_core.frontmatter import key_line, parse, render
from argosy_core.sections import headings, section
from argosy_core.storage.base import Content
from argosy_desk.binding import is_tampered, read_binding
from argosy_desk.kinds import KINDS, Kind
from argosy_desk.resolution import TITLE, Problem, Resolution, find_resolution, render_resolution

PROPOSAL = "Proposal"
REASON = "Judge's reason for escalating"
ASKED = "Question"
OPTIONS = "Options"
_BREAKS = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_LINE = re.compile(r"line (\d+): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class QuestionFile:
    """A question as it stands in its file. *state* is the line of the head, *resolution* what people wrote below.

    *problem* says why the file cannot be taken for what it seems to say; it is then left as it is.
    """

    kind: Kind
    state: str
    title: str
    body: str
    options: tuple[str, ...]
    fields: Mapping[str, Any]
    binding: Mapping[str, Any] | None
    tampered: bool
    resolution: Resolution | None
    problem: Problem | None
    state_line: int


def parse_question(text: str) -> QuestionFile:
    """*text* as a question. Never raises for what it holds."""
    page = parse(text)
    kind, kind_problem = _kind(page.fields.get("type"), key_line(page, "type"))
    answer = find_resolution(page.body, page.body_line)
    proposal = section(page.body, PROPOSAL)
    binding = read_binding(proposal) if proposal is not None else None
    found = Problem(1, "a question begins with fields between two --- lines") if not page.fields else kind_problem
    if page.degraded is not None:
        match = _LINE.fullmatch(page.degraded)
        found = Problem(int(match[1]), match[2]) if match else Problem(1, page.degraded)
    return QuestionFile(
        kind=kind,
        state=str(page.fields.get("state") or "pending"),
        title=_title(page.fields, page.body, binding),
        body=_unquoted(section(page.body, ASKED) or section(page.body, REASON) or ""),
        options=_options(section(page.body, OPTIONS) or ""),
        fields=page.fields,
        binding=binding,
        tampered=is_tampered(page.fields, proposal, binding),
        resolution=answer if isinstance(answer, Resolution) else None,
        problem=found or (answer if isinstance(answer, Problem) else None),
        state_line=key_line(page, "state"),
    )


def render_question(
    fields: Mapping[str, Any],
    body: str,
    options: Sequence[str],
    binding: Mapping[str, Any] | None,
    how_to_answer: str,
) -> str:
    """The file of a new question; *fields* hold its type and title."""
    parts = [f"# {one_line(fields['title'])}"]
    if binding is not None:
        parts.append(f"## {PROPOSAL}\n\n```json\n{json.dumps(binding, ensure_ascii=False, indent=2)}\n```")
    parts.append(f"## {REASON if fields['type'] == 'escalation' else ASKED}\n\n{quoted(body)}")
    if options:
        parts.append(f"## {OPTIONS}\n\n" + "\n".join(f"- {option}" for option in options))
    parts += [f"## How to answer\n\n{how_to_answer}", f"## {TITLE}"]
    return render(fields, "\n\n".join(parts) + "\n")


def redacted_text(text: str, why: str, at: str) -> str:
    """*text* without what was asked: its head, less what repeats the question, and who decided before."""
    page, file = parse(text), parse_question(text)
    gone = ("title", "schema", "default", "decide_by", "state")
    fields = {name: value for name, value in page.fields.items() if name not in gone}
    before = f" It was {file.resolution.verb.lower()} by {one_line(file.resolution.by)}." if file.resolution else ""
    block = render_resolution("Redacted", "operator", {"resolved_at": at, "reason": why}, None)
    return render(
        {"type": file.kind, "state": "redacted", **fields},
        f"# Redacted\n\n## {ASKED}\n\n> What stood here was taken out.{before}\n\n## {TITLE}\n\n{block}",
    )


def decoded(content: Content) -> str:
    """The text of a file, whatever is in it: what is not UTF-8 comes back as it was when the text is written."""
    return content.data.decode("utf-8", "surrogateescape")


def one_line(text: str) -> str:
    """*text* on one line."""
    return " ".join(text.split())


def quoted(text: str) -> str:
    """*text* as a Markdown quote."""
    lines = _BREAKS.sub("\n", text).strip("\n").split("\n")
    return "\n".join(f"> {line}" if line else ">" for line in lines)


def _unquoted(text: str) -> str:
    lines = [line.rstrip("\r") for line in text.split("\n")]
    if not all(line.startswith(">") for line in lines):
        return text
    return "\n".join(line.removeprefix(">").removeprefix(" ") for line in lines)


def _kind(stated: object, line: int) -> tuple[Kind, Problem | None]:
    for kind in KINDS:
        if kind == stated:
            return kind, None
    return "escalation", Problem(line, f"type is one of {', '.join(KINDS)}")


def _title(fields: Mapping[str, Any], body: str, binding: Mapping[str, Any] | None) -> str:
    head = next((h.text for h in headings(body) if h.level == 1), "")
    tool = (binding or {}).get("tool_name") or ""
    named = f"{tool} ({fields.get('action_class') or 'unclassified'})" if tool else ""
    return one_line(str(fields.get("title") or "")) or head or named


def _options(text: str) -> tuple[str, ...]:
    return tuple(line[2:].strip() for line in text.split("\n") if line.startswith("- ") and line[2:].strip())
