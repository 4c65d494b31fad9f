"""Asked to remember: the only wording that makes this model write, and the only two tools it writes with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argosy_host.providers.base import Citation, ToolReturn, ToolSpec
from argosy_host.providers.offline.answer import told
from argosy_host.providers.offline.arguments import choices_of, declared_as
from argosy_host.providers.offline.evidence import Evidence
from argosy_host.providers.offline.markdown import plain, sentences
from argosy_host.providers.offline.shapes import list_of, mapping_of, text_of
from argosy_host.providers.offline.words import normalise

WRITE_NOTE = "memory_write"
WRITE_JOURNAL = "journal_append"
WRITERS = frozenset({WRITE_NOTE, WRITE_JOURNAL})
_LONGEST_TITLE = 80

_POLITE = r"\s*(?:(?:hey|hi|ok|okay|please|kindly|and|also|пожалуйста|bitte|por favor)[\s,]+)*"
_TYPES = r"(?P<type>user|feedback|project|reference|decision)"
_SAVE = r"(?:save|make|take|write|add|create|capture|record)\s+(?:(?:a|an|this|the|new|quick|as|following)\s+)*"
_NOTE = rf"{_SAVE}(?:{_TYPES}\s+)?(?:note|memory)"
_BODY = r"(?P<body>.+)"
# Each asks for a note at the very start of a task; text further in may be something the person only pasted.
_ASKED_FOR_NOTE = (
    rf"remember\s*(?:[:,]|(?:that|this:?)(?=\s)|(?=\s(?:my|our|i|we)\s))\s*{_BODY}",
    rf"(?:note|keep in mind|write down|note down|memori[sz]e|don['’]t forget)\s*(?::|that(?=\s))\s*{_BODY}",
    rf"{_NOTE}\s+(?:about|on|of)\s+(?P<title>[^:\n]{{1,80}}):\s*{_BODY}",
    rf"{_NOTE}(?:\s*:|\s+(?:that|of|saying(?:\s+that)?)(?=\s))\s*{_BODY}",
    rf"{_NOTE}\s+(?!(?:to|for|about|on|from|in|with|and|of|that)\b){_BODY}",
    rf"(?:save|record|capture)\s+(?:(?:a|an|this|the|new|as)\s+)*{_TYPES}(?:\s*:|\s+that(?=\s))\s*{_BODY}",
    rf"(?:запомни(?:те)?|запиши(?:те)?)\s*(?:[:,]\s*)?(?:что\s+)?{_BODY}",
    rf"(?:merke? dir|notiere)\s*(?:[:,]\s*)?(?:dass\s+)?{_BODY}",
    rf"(?:recuerda que|souviens-toi que|retiens que|anota que)\s+{_BODY}",
    rf"(?:覚えておいて|覚えて|メモして|メモ|记住|记下)(?:ください)?\s*[:：、,]\s*{_BODY}",
    r"(?P<body>.+?)(?:こと)?(?:を|と|って)(?:覚えておいて|覚えて|メモして)(?:ください|ね)?[。.!！]?\s*$",
)
_JOURNAL = r"(?:to|in|into)\s+(?:the|my|our|today['’]s)?\s*(?:journal|diary)"
_ASKED_FOR_JOURNAL = (
    rf"(?:add|append|write|put|note|log|record)\s+(?:(?:this|an entry)\s+)?{_JOURNAL}\s*(?:[:,-]|that(?=\s))\s*{_BODY}",
    rf"journal(?:\s+entry)?\s*:\s*{_BODY}",
    # Only "to" here: "write up what is in the journal" asks to read.
    r"(?:add|append|put|log)\s+(?P<body>[^\n]+?)\s+(?:to|into)\s+(?:the|my|our)\s+(?:journal|diary)[.!]?\s*$",
    rf"(?:запиши|добавь) в (?:дневник|журнал)\s*[:,]?\s*{_BODY}",
)
_QUESTION_AFTER = re.compile(r"(?<=[.!。！\n])\s*(?P<question>[^.!?？。！\n]+[?？].*)\Z", re.DOTALL)
# The first kind whose cue occurs in what was said; what has none is a reference.
_TYPE_CUES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("decision", (" decided ", " we chose ", " i chose ", " agreed ", " we will ", " going with ", "решил", "決め")),
    (
        "feedback",
        (" prefer", " always ", " never ", " stop ", " don t ", " do not ", " i like ", " i want ", " instead of "),
    ),
    ("project", (" project ", " deadline ", " launch", " milestone ", " release ", " ships ", " проект")),
    ("user", (" i am ", " i m ", " my ", " i have ", " i live ", " i work ", " we are ", " our ")),
)
_DEFAULT_TYPE = "reference"


@dataclass(frozen=True, slots=True)
class Capture:
    """Something to write down. *rest* is a question asked in the same breath, or empty."""

    tool: str
    body: str
    rest: str = ""
    type: str = ""
    title: str = ""


def find_capture(task: str) -> Capture | None:
    """What the task asks to write down, word for word; None when it asks for nothing of the kind."""
    for tool, patterns in ((WRITE_JOURNAL, _ASKED_FOR_JOURNAL), (WRITE_NOTE, _ASKED_FOR_NOTE)):
        for pattern in patterns:
            match = re.match(_POLITE + pattern, task, re.IGNORECASE | re.DOTALL)
            if match and (capture := _capture(tool, match.groupdict())):
                return capture
    return None


def _capture(tool: str, groups: Mapping[str, str | None]) -> Capture | None:
    body = (groups["body"] or "").strip()
    after = _QUESTION_AFTER.search(body)
    rest = after["question"].strip() if after else ""
    body = _unquoted(body[: after.start()].strip() if after else body)
    # "Remember that time in Rome?" asks; it does not tell.
    if not any(map(str.isalnum, body)) or body.endswith(("?", "？")):
        return None
    return Capture(tool, body, rest, (groups.get("type") or "").lower(), (groups.get("title") or "").strip())


def _unquoted(body: str) -> str:
    pairs = ('""', "''", "“”", "«»", "「」")
    quoted = len(body) > 2 and body[0] + body[-1] in pairs and body[0] not in body[1:-1]
    return body[1:-1].strip() if quoted else body


def arguments_for(capture: Capture, tool: ToolSpec) -> dict[str, object] | None:
    """The arguments of the writing call, or None when the tool asks for something nobody said."""
    made: dict[str, object] = {"text": capture.body}
    if capture.tool == WRITE_NOTE:
        kind = _type_of(capture, choices_of(declared_as(tool.input_schema, "type")))
        made = {
            "type": kind,
            "title": title_of(capture.title or capture.body),
            "body": capture.body,
            "sources": ["conversation"],
        }
    properties = mapping_of(tool.input_schema.get("properties"))
    kept = {name: value for name, value in made.items() if name in properties and value is not None}
    return kept if all(name in kept for name in list_of(tool.input_schema.get("required"))) else None


def _type_of(capture: Capture, allowed: Sequence[str]) -> str | None:
    folded = " ".join(normalise(capture.body).replace("'", " ").replace("’", " ").split())
    cued = [kind for kind, cues in _TYPE_CUES if any(cue in f" {folded} " for cue in cues)]
    wanted = [capture.type, *cued, _DEFAULT_TYPE, *allowed]
    return next((kind for kind in wanted if kind and (not allowed or kind in allowed)), None)


def title_of(body: str) -> str:
    """The first sentence, on one line, cut at a word to at most 80 characters."""
    line = plain(body) or " ".join(body.split())
    title = sentences(line)[0].rstrip(".。!！ ") or line
    if len(title) <= _LONGEST_TITLE:
        return title
    head = title[: _LONGEST_TITLE + 1]
    return head[: head.rfind(" ")] if " " in head[20:] else head[:_LONGEST_TITLE]


def missing(capture: Capture) -> str:
    """What to say when the tool to write with is not there."""
    return f"This was not saved: {capture.tool} is not among the tools here, or asks for more than was said."


def outcome(capture: Capture, result: ToolReturn) -> tuple[str, tuple[Citation, ...]]:
    """What came of the call, in one sentence; a refusal is passed on as the tool put it."""
    noun = "note" if capture.tool == WRITE_NOTE else "journal entry"
    if result.is_error:
        return f"The {noun} was not saved: {told(result)}", ()
    structured = mapping_of(result.structured)
    saved = Evidence([result]).sources
    verb = "Saved" if capture.tool == WRITE_NOTE else "Added to the journal"
    verb = "Already there" if structured.get("duplicate") is True else verb
    title = plain(text_of(structured, "title")) or title_of(capture.body)
    if not saved:
        return f"{verb}: {title}", ()
    return f"{verb}: {title} [{saved[0].name}]", (Citation(saved[0].name, saved[0].uri),)
