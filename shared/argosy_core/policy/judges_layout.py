"""Finding the settings of a ``judges.md`` in its two layouts, before their values are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from argosy_core.frontmatter import parse
from argosy_core.policy.checks import Checks
from argosy_core.policy.entries import Entry, Item, entry_of, items, yaml_entries
from argosy_core.policy.judges_model import AXES, BUDGET_KEYS, ESCALATION_KEYS, FAILURES, KEYS, MANDATE_KEYS
from argosy_core.policy.markdown import Section, read_markdown
from argosy_core.types import ActionClass

# What a section's lines belong to; "" is the file itself.
_SECTIONS: Mapping[str, str] = {
    "default judge": "",
    "judge": "",
    "audit": "",
    "validation": "",
    "budget": "budget",
    "class policy": "class_policy",
    "specialist composition": "specialist_composition",
    "escalation queue": "escalation",
    "escalation": "escalation",
    "failure policy": "failure_policy",
    "mandates": "mandates",
}
_HEAD_KEYS = frozenset({"schema_version", "type", "name", "title", "description", "agent", "tags"})
_YAML = frozenset({"yaml", "yml", "json", ""})


def _plain(key: str) -> str:
    return key.casefold().replace("_", "").replace("-", "").replace(" ", "")


_ALL_KEYS = (*KEYS, *BUDGET_KEYS, *ESCALATION_KEYS, *MANDATE_KEYS, *AXES, *FAILURES, *map(str, ActionClass), "default")
_KNOWN = {_plain(key): key for key in _ALL_KEYS}


def gather(text: str, checks: Checks) -> dict[str, Entry]:
    """The settings of *text* by their top-level key. Raises PolicyInvalid, and YamlProblem for YAML that is none."""
    given = _Given(checks)
    page = parse(text)
    if page.degraded:
        line, _, reason = page.degraded.removeprefix("line ").partition(": ")
        checks.fail(int(line), reason)
    for entry in yaml_entries(page.raw_head, 2):
        if entry.key not in _HEAD_KEYS:
            given.put(entry, "")
    document = read_markdown(page.body, page.body_line)
    if document.open_line is not None:
        checks.fail(document.open_line, "what begins here is never closed", hint="close the fence or comment")
    for section in document.sections:
        home = _home(section, checks)
        for entry in _entries(section, checks):
            given.put(entry, home)
    return given.entries()


class _Given:
    """Entries as they are found, brought under the key they belong to."""

    def __init__(self, checks: Checks) -> None:
        self._checks = checks
        self._single: list[Entry] = []
        self._inside: dict[str, list[Entry]] = {}

    def put(self, entry: Entry, home: str) -> None:
        title = entry.key.replace("_", " ")
        if title in _SECTIONS and (entry.is_map or _SECTIONS[title]) and title != "validation":
            self._open(entry, _SECTIONS[title])
        elif entry.key in KEYS or (home == "specialist_composition" and entry.key == "aggregation"):
            self._single.append(entry)
        elif home:
            self._inside.setdefault(home, []).append(entry)
        else:
            self._checks.unknown(entry, KEYS, self._checks.where)

    def _open(self, entry: Entry, home: str) -> None:
        if home:
            self._checks.lines.setdefault(home, entry.line)
            self._inside.setdefault(home, [])
        for child in self._checks.children(entry):
            self.put(child, home)

    def entries(self) -> dict[str, Entry]:
        maps = [Entry(key, found[0].line, None, tuple(found), True) for key, found in self._inside.items() if found]
        root = Entry(self._checks.where, 1, None, (*self._single, *maps), True)
        found = {entry.key: entry for entry in self._checks.children(root)}
        self._checks.lines.update((key, entry.line) for key, entry in found.items())
        return found


def _home(section: Section, checks: Checks) -> str:
    if section.level < 2 and section.name not in _SECTIONS:
        return ""
    if section.name not in _SECTIONS:
        hint = "sections read here: " + ", ".join(name.capitalize() for name in _SECTIONS)
        checks.fail(section.line, f"unknown heading {section.title!r}", hint=hint, heading=section.title)
    return _SECTIONS[section.name]


def _entries(section: Section, checks: Checks) -> Iterator[Entry]:
    for fence in section.fences:
        if fence.language in _YAML:
            yield from yaml_entries(fence.text, fence.line)
    for item in items(section.lines):
        if _is_setting(item, section, checks):
            yield _named(entry_of(item))


def _is_setting(item: Item, section: Section, checks: Checks) -> bool:
    in_section = section.name in _SECTIONS
    if item.text.startswith("|") and in_section:
        checks.fail(item.line, "a table is not read here", hint="write `- key: value` lines")
    if item.is_bullet:
        if in_section and not item.key:
            checks.fail(item.line, "a list item here must be `- key: value`", hint="write prose without a bullet")
        return bool(item.key) and (in_section or " " not in item.key)
    # Prose may hold a colon ("Note: ..."); a name in lower case, or one that is known, is meant as a key.
    key, words = item.key, item.text.split()
    known = _plain(key) in _KNOWN
    return bool(key) and (known or (" " not in key and (key[:1].islower() or (in_section and len(words) < 2))))


def _named(entry: Entry) -> Entry:
    """The entry under the name that its key stands for: ``Reversible write`` is ``reversible_write``."""
    key = _KNOWN.get(_plain(entry.key), entry.key)
    return Entry(key, entry.line, entry.value, tuple(map(_named, entry.children)), entry.is_map)
