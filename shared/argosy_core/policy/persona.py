"""What an agent's ``persona/IDENTITY.md`` says of it: how it works, and what it is in one sentence."""

from __future__ import annotations

import re

from argosy_core.frontmatter import parse
from argosy_core.policy.entries import split_item
from argosy_core.policy.errors import Problem
from argosy_core.policy.markdown import Bullet, Section, bullets, code_spans, paragraphs, read_markdown, tidy

MODES = ("reactive", "goal-driven", "hybrid")
MAX_DESCRIPTION_CHARS = 200

_MODE = re.compile(r"\b(reactive|goal[-_ ]driven|hybrid)\b")
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])\s*")
_ROLE_KEYS = ("role", "description", "purpose")


def operating_mode(identity: str) -> str:
    """The mode under ``## Operating mode``: ``reactive`` (also when none is named), ``goal-driven`` or ``hybrid``."""
    modes = [mode for section in _mode_sections(identity) if (mode := _mode_of(section))]
    return modes[0] if modes else "reactive"


def mode_problems(identity: str) -> tuple[Problem, ...]:
    """The sections ``## Operating mode`` that name no mode."""
    fix = f"name one of {', '.join(MODES)}"
    sections = _mode_sections(identity)
    return tuple(Problem(s.line, "no operating mode is named here", fix=fix) for s in sections if not _mode_of(s))


def describe_agent(identity: str) -> str:
    """What the agent is, at most 200 characters.

    A ``description`` or ``role`` field, else a ``**Role**: …`` line, else the first sentence that says more than a
    name.
    """
    page = parse(identity)
    for key in ("description", "role"):
        given = page.fields.get(key)
        if isinstance(given, str) and given.strip():
            return in_brief(given)
    sections = read_markdown(page.body).sections
    roles = (role for section in sections for role in _roles(section))
    sentences = (s for section in sections for text in paragraphs(section.lines) for s in _sentences(text))
    return in_brief(next(roles, None) or next(sentences, ""))


def _mode_sections(identity: str) -> tuple[Section, ...]:
    page = parse(identity)
    return read_markdown(page.body, page.body_line).named("operating mode")


def _mode_of(section: Section) -> str | None:
    # What is set in code or bold is meant; the sentence around it may name the others ("hybrid, not reactive").
    text = "\n".join(line.text for line in section.lines)
    for words in (*code_spans(text), *_BOLD.findall(text), text):
        found = _MODE.search(words.lower())
        if found:
            return found[1].replace("_", "-").replace(" ", "-")
    return None


def _roles(section: Section) -> list[str]:
    lines = [*bullets(section.lines), *(Bullet(line.number, line.text.strip(), 0) for line in section.lines)]
    pairs = [pair for line in lines if (pair := split_item(line.text))]
    return [tidy(value) for key, value in pairs if key.lower() in _ROLE_KEYS and value]


def _sentences(paragraph: str) -> list[str]:
    sentences = [sentence.strip() for sentence in _SENTENCE_END.split(tidy(paragraph))]
    return [sentence for sentence in sentences if len(sentence.split()) > 2 or len(sentence) > 24]


def in_brief(text: str) -> str:
    """*text* on one line, cut to what a list of agents shows."""
    text = " ".join(text.split())
    return text if len(text) <= MAX_DESCRIPTION_CHARS else text[: MAX_DESCRIPTION_CHARS - 1].rsplit(" ", 1)[0] + "…"
