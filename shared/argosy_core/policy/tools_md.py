"""Parser of ``tools.md``: where an agent may read and write, what it must never do, and the classes of its tools.

The sections are the older system's; a heading may carry a remark (``## Write paths (own folder ONLY)``), a list item
a comment after its path (`` - `~/agents/me/memory/` — notes``), and any other section is prose for the agent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from argosy_core.errors import InvalidArgument
from argosy_core.policy.checks import Checks
from argosy_core.policy.entries import Entry, entry_of, items, split_item, yaml_entries
from argosy_core.policy.errors import PolicyInvalid, Problem, decode
from argosy_core.policy.markdown import Bullet, Document, bullets, code_spans, read_markdown, tidy
from argosy_core.policy.money import nano_usd
from argosy_core.policy.paths import resolve_path
from argosy_core.policy.patterns import check_hosts
from argosy_core.types import ActionClass
from argosy_core.yamltext import YamlProblem

__all__ = ["PathRule", "ToolsFile", "parse_tools", "resolve_path"]

_READ = ("read paths", "read path")
_WRITE = ("write paths", "write path")
_READ_ONLY = ("read only paths", "read only path", "readonly paths")
_HARD_NOS = ("hard nos", "hard no", "hard no's")
_APIS = ("external apis", "external api")
_CLASSES = ("tool classification", "tool classifications", "tool classes")
_ALLOWED_HOSTS = ("allowed hosts", "allowed host")
_BLOCKED_HOSTS = ("blocked hosts", "blocked host", "denied hosts")
_DENIED_ARGUMENTS = ("denied arguments", "denied argument", "blocked arguments")
_COSTS = ("tool costs", "tool cost", "costs of tools")
_BOUNDS = (*_ALLOWED_HOSTS, *_BLOCKED_HOSTS, *_DENIED_ARGUMENTS, *_COSTS)
_KNOWN = (*_BOUNDS, *_READ, *_WRITE, *_READ_ONLY, *_HARD_NOS, *_APIS, *_CLASSES)
_NOTHING = ("", "none", "nothing", "n/a", "-")
_YAML = ("yaml", "yml", "")


@dataclass(frozen=True, slots=True)
class PathRule:
    """A path as written (see `resolve_path`), the line it stands on, and what is said about it."""

    path: str
    line: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class DeniedArgument:
    """Texts that no argument may hold: *pattern* (``*`` for anything) in a call of a tool that *tool* names."""

    tool: str
    pattern: str
    line: int


@dataclass(frozen=True, slots=True)
class ToolsFile:
    """One ``tools.md``. *write_paths* is None when it has no such section, which is not the same as an empty one.

    *allowed_hosts* None is every public host. *costs* is what one call of a tool costs, in billionths of a dollar.
    """

    read_paths: tuple[PathRule, ...] = ()
    write_paths: tuple[PathRule, ...] | None = None
    read_only_paths: tuple[PathRule, ...] = ()
    hard_nos: tuple[str, ...] = ()
    external_apis: tuple[str, ...] = ()
    classification: Mapping[str, ActionClass] = field(default_factory=dict[str, ActionClass])
    allowed_hosts: frozenset[str] | None = None
    blocked_hosts: frozenset[str] = frozenset()
    denied_arguments: tuple[DeniedArgument, ...] = ()
    costs: Mapping[str, int] = field(default_factory=dict[str, int])
    problems: tuple[Problem, ...] = ()


def parse_tools(source: str | bytes, where: str = "tools.md") -> ToolsFile:
    """The rules in *source*.

    Raises PolicyInvalid where misreading it would allow more than was meant: a class that is none, a read-only path
    that cannot be told from prose, a fence or comment that never ends, text that is not UTF-8.
    """
    document = read_markdown(decode(source, where))
    if document.open_line is not None:
        raise PolicyInvalid(where, document.open_line, "what begins here is never closed", hint="close it")
    problems: list[Problem] = []
    return ToolsFile(
        read_paths=_paths(document, _READ, problems),
        write_paths=_paths(document, _WRITE, problems) if document.named(*_WRITE) else None,
        read_only_paths=_read_only(document, where),
        hard_nos=_texts(document, _HARD_NOS),
        external_apis=_texts(document, _APIS),
        classification=_classification(document, where),
        allowed_hosts=_hosts(document, _ALLOWED_HOSTS, where) if document.named(*_ALLOWED_HOSTS) else None,
        blocked_hosts=_hosts(document, _BLOCKED_HOSTS, where),
        denied_arguments=tuple(_denied(document, where)),
        costs=dict(_costs(document, where)),
        problems=(*problems, *_unread(document)),
    )


def _paths(document: Document, names: tuple[str, ...], problems: list[Problem]) -> tuple[PathRule, ...]:
    rules: list[PathRule] = []
    for bullet in _bullets(document, names):
        found = list(_path_rules(bullet))
        rules += found
        problems += [_pattern(rule) for rule in found if any(char in rule.path.rstrip("*") for char in "*?[")]
        if not found and tidy(bullet.text).strip("()").casefold() not in _NOTHING:
            message = f"no path found in {bullet.text[:60]!r}"
            problems.append(Problem(bullet.line, message, fix="put the path in backticks: - `memory/`"))
    return tuple(rules)


def _pattern(rule: PathRule) -> Problem:
    return Problem(rule.line, f"{rule.path} is a pattern, and those are not read", fix="name the folder itself")


def _read_only(document: Document, where: str) -> tuple[PathRule, ...]:
    problems: list[Problem] = []
    rules = _paths(document, _READ_ONLY, problems)
    for problem in problems:
        if not any(rule.line == problem.line for rule in rules):  # a pattern covers its whole folder
            raise PolicyInvalid(where, problem.line, f"read-only paths: {problem.message}", hint=problem.fix)
    return rules


def _bullets(document: Document, names: tuple[str, ...]) -> list[Bullet]:
    return [bullet for section in document.named(*names) for bullet in bullets(section.lines)]


def _path_rules(bullet: Bullet) -> Iterator[PathRule]:
    head, note = _split_note(bullet.text)
    spans = code_spans(head)
    if not spans:
        first = head.split(maxsplit=1)[0].rstrip(",;:") if head.strip() else ""
        spans = [first] if "/" in first or "\\" in first or first.startswith("~") or first.endswith(".md") else []
    for span in spans:
        yield PathRule(span.strip(), bullet.line, note)


def _split_note(text: str) -> tuple[str, str]:
    for mark in (" — ", " – ", " - ", " # ", ": "):
        head, found, note = text.partition(mark)
        if found and head.count("`") % 2 == 0:
            return head, tidy(note).strip()
    return text, ""


def _texts(document: Document, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(tidy(bullet.text).strip() for bullet in _bullets(document, names))


def _hosts(document: Document, names: tuple[str, ...], where: str) -> frozenset[str]:
    found: set[str] = set()
    for bullet in _bounds(document, names, where):
        head, _ = _split_note(bullet.text)
        stated = code_spans(head) or [part.strip() for part in tidy(head).split(",")]
        try:
            found |= check_hosts(host for host in stated if host.casefold() not in _NOTHING)
        except InvalidArgument as error:
            raise PolicyInvalid(where, bullet.line, error.message, hint=error.hint) from error
    return frozenset(found)


def _denied(document: Document, where: str) -> Iterator[DeniedArgument]:
    for bullet in _bounds(document, _DENIED_ARGUMENTS, where):
        pair = split_item(bullet.text)
        tool, pattern = pair or ("*", bullet.text)
        pattern = (code_spans(pattern) or [pattern.strip()])[0]
        if not pattern.strip("*"):
            raise PolicyInvalid(where, bullet.line, "denied arguments: no text is named", hint="- tool: `text*`")
        yield DeniedArgument(tool.strip("`"), pattern, bullet.line)


def _costs(document: Document, where: str) -> Iterator[tuple[str, int]]:
    for bullet in _bounds(document, _COSTS, where):
        pair = split_item(bullet.text)
        amount = (code_spans(pair[1]) or pair[1].split() or [""])[0].strip("$") if pair else ""
        try:
            yield (pair or ("", ""))[0].strip("`"), nano_usd(float(amount), "a cost")
        except (ValueError, InvalidArgument) as error:
            hint = "write `- tool: 0.05`, in US dollars for one call"
            raise PolicyInvalid(where, bullet.line, "tool costs: this is no cost", hint=hint) from error


def _bounds(document: Document, names: tuple[str, ...], where: str) -> Iterator[Bullet]:
    """The list items of sections that bound what is allowed; whatever else stands there would be passed over."""
    for section in document.named(*names):
        if section.fences:
            raise PolicyInvalid(where, section.fences[0].line, f"{section.title}: a block is not read here")
        found = bullets(section.lines)
        for line in section.lines:
            if line.text.lstrip().startswith("|"):
                raise PolicyInvalid(where, line.number, f"{section.title}: a table is not read here")
        yield from found


def _classification(document: Document, where: str) -> dict[str, ActionClass]:
    checks = Checks(where)
    found: dict[str, ActionClass] = {}
    try:
        for entry in _class_entries(document, where):
            action_class = checks.member(entry, ActionClass)
            if found.setdefault(entry.key, action_class) != action_class:
                checks.fail(entry.line, f"{entry.key} has two classes", key=entry.key)
    except YamlProblem as problem:
        raise PolicyInvalid(where, problem.line, problem.reason, hint="write `- tool: class`") from problem
    return found


def _class_entries(document: Document, where: str) -> Iterator[Entry]:
    for section in document.named(*_CLASSES):
        for fence in section.fences:
            if fence.language in _YAML:
                yield from yaml_entries(fence.text, fence.line)
            elif _names_a_class(fence.text):
                raise PolicyInvalid(
                    where, fence.line, "tool classification: this block is not read", hint="use ```yaml"
                )
        for item in items(section.lines):
            named = _names_a_class(f"{item.text} {' '.join(child.text for child in item.children)}")
            if item.key and " " not in item.key and (item.is_bullet or named or len(item.text.split()) < 2):
                yield entry_of(item)
            elif item.is_bullet or named or item.text.startswith("|"):
                raise PolicyInvalid(where, item.line, "tool classification: this is not `- tool: class`")


def _names_a_class(text: str) -> bool:
    return any(name in text for name in ActionClass)


def _unread(document: Document) -> Iterator[Problem]:
    for section in document.sections:
        name = section.name
        if section.level > 1 and name not in _KNOWN and any(word in name for word in ("path", "classif")):
            fix = "headings read here: Read paths, Write paths, Read-only paths, Tool classification"
            yield Problem(section.line, f"the section {section.title!r} is read as prose", fix=fix)
