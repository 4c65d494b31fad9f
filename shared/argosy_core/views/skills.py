"""Text skills: ``skills/<name>/SKILL.md``, frontmatter and a procedure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from argosy_core.frontmatter import Page, key_line, parse
from argosy_core.policy.errors import Problem
from argosy_core.views.reader import Reader

FLEET_FOLDER = "_fleet/skills"
FILE = "SKILL.md"
MAX_DESCRIPTION_CHARS = 1024
MAX_WHEN_TO_USE_WORDS = 200
MAX_BODY_LINES = 500

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_RESERVED = frozenset({"anthropic", "claude", "atomic_agents"})


@dataclass(frozen=True, slots=True)
class SkillView:
    """A skill as a menu shows it. *path* is its SKILL.md; *degraded* says what of its head could not be read."""

    name: str
    description: str
    when_to_use: str
    path: str
    degraded: str | None = None
    problems: tuple[Problem, ...] = ()


def skill_folders(agent: str | None) -> list[str]:
    """Where *agent*'s skills are: its own first, which go before the fleet's of the same name."""
    return [*([f"{agent}/skills"] if agent else []), FLEET_FOLDER]


def list_skills(reader: Reader, agent: str | None) -> list[SkillView]:
    """The skills of *agent*, then those of the fleet whose names it does not use, each sorted by folder."""
    found: dict[str, SkillView] = {}
    for folder in skill_folders(agent):
        for name in sorted(reader.list_dir(folder)):
            skill = None if name.startswith((".", "_")) else load_skill(reader, f"{folder}/{name}/{FILE}")
            if skill is not None:
                found.setdefault(skill.name, skill)
    return list(found.values())


def load_skill(reader: Reader, path: str) -> SkillView | None:
    """The skill at *path*; None when there is no such file."""
    data = reader.read(path)
    return None if data is None else read_skill(path, data.decode("utf-8", "replace"))


def read_skill(path: str, text: str) -> SkillView:
    """The skill in *text*. Never fails: what is wrong is in its problems."""
    page = parse(text)
    return SkillView(
        name=_text(page, "name") or _folder(path),
        description=_text(page, "description")[:MAX_DESCRIPTION_CHARS],
        when_to_use=_text(page, "when_to_use"),
        path=path,
        degraded=page.degraded,
        problems=tuple(problem.within(path) for problem in _problems(path, page)),
    )


def _problems(path: str, page: Page) -> Iterator[Problem]:
    name = _text(page, "name") or _folder(path)
    if page.problem:
        yield Problem(*page.problem, fix="mend the frontmatter")
    if not _NAME.fullmatch(name) or name in _RESERVED:
        yield Problem(key_line(page, "name"), f"{name[:80]!r} is no name for a skill", fix="use a-z, 0-9 and -")
    if not _text(page, "description"):
        yield Problem(key_line(page, "description"), "no description: nothing says when to load it", fix="add one")
    if len(_text(page, "description")) > MAX_DESCRIPTION_CHARS:
        fix = f"keep it below {MAX_DESCRIPTION_CHARS} characters"
        yield Problem(key_line(page, "description"), "the description is too long and was cut", fix=fix)
    if len(_text(page, "when_to_use").split()) > MAX_WHEN_TO_USE_WORDS:
        yield Problem(key_line(page, "when_to_use"), f"when_to_use has more than {MAX_WHEN_TO_USE_WORDS} words")
    if page.body.count("\n") > MAX_BODY_LINES:
        fix = "move parts into files of their own beside it"
        yield Problem(
            page.body_line, f"more than {MAX_BODY_LINES} lines are read into every run that loads it", fix=fix
        )


def _folder(path: str) -> str:
    return path.split("/")[-2] if "/" in path else path


def _text(page: Page, key: str) -> str:
    value = page.fields.get(key)
    return " ".join(value.split()) if isinstance(value, str) else ""
