"""Finding the settings of a ``judges.md`` in its two layouts, before their values are looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from argosy_core.frontmatter import parse
from argosy_core.frontmatter.page import HEAD_LINE
from argosy_core.policy.checks import Checks
from argosy_core.policy.entries import Entry, Item, entry_of, items, split_item, without_remark, yaml_entries
from argosy_core.policy.errors import nearest
from argosy_core.policy.judges_model import AXES, BUDGET_KEYS, ESCALATION_KEYS, FAILURES, KEYS, MANDATE_KEYS
from argosy_core.policy.markdown import Section, read_markdown
from argosy_core.types import ActionClass

# What a section's lines belong to; "" is the file itself.
_SECTIONS: Mapping[str, str] = {
    "default judge": "",
    "judge": "",
    "audit": "",
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
_NAMES = "|".join(key for key in _ALL_KEYS if "_" in key or key in FAILURES)
# A setting's name followed by what assigns, wherever it stands: it must never be passed over as prose.
_LOOKS_SET = re.compile(rf"\b({_NAMES})\b[`*\"' \t]*(?:[:=→]|->|=>)")
# What inside a section is too short for a sentence: `two words: value`, `key value`.
_SHORT_PAIR = re.compile(rf"(?:\S+\s+){{0,3}}\S*:\s+\S+|\W*(?:{_NAMES})\S*\s+\S+")


def gather(text: str, checks: Checks) -> dict[str, Entry]:
    """The settings of *text* by their top-level key. Raises PolicyInvalid, and YamlProblem for YAML that is none."""
    given = _Given(checks)
    page = parse(text)
    for entry in yaml_entries(page.raw_head, HEAD_LINE):
        if entry.key not in _HEAD_KEYS:
            given.put(entry, "")
    if page.degraded:
        checks.fail(1, "the head opened here has no closing ---")
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
        if title in _SECTIONS and (entry.is_map or _SECTIONS[title]):
            self._open(entry, _SECTIONS[title])
        elif entry.key in KEYS:
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
        setting = split_item(section.title)
        if _LOOKS_SET.search(section.title) or (setting and _KNOWN.get(_plain(setting[0])) in KEYS):
            checks.fail(section.line, f"the heading {section.title!r} reads as a setting", hint="take the # away")
        return ""
    if section.name not in _SECTIONS:
        names = tuple(name.capitalize() for name in _SECTIONS)
        hint = nearest(section.title, names) or f"sections read here: {', '.join(names)}"
        checks.fail(section.line, f"unknown heading {section.title!r}", hint=hint, heading=section.title)
    return _SECTIONS[section.name]


def _entries(section: Section, checks: Checks) -> Iterator[Entry]:
    for fence in section.fences:
        if fence.language in _YAML and ":" not in fence.info:
            yield from yaml_entries(fence.text, fence.line)
        elif ":" in fence.info or _LOOKS_SET.search(fence.text):
            reason = "this block holds settings and is not read"
            checks.fail(fence.line - 1, reason, hint="begin the block with ```yaml alone")
    yield from map(_named, map(entry_of, _settings(items(section.lines), section, checks)))


def _settings(found: tuple[Item, ...], section: Section, checks: Checks) -> Iterator[Item]:
    before: Item | None = None
    for item in found:
        if _is_setting(item, before, section, checks):
            yield item
        else:
            text = f"{item.key}: {item.text}" if item.key else item.text
            if _LOOKS_SET.search(text) or (section.name in _SECTIONS and _SHORT_PAIR.fullmatch(text)):
                hint = "write `- key: value`; in prose, say it in other words"
                checks.fail(item.line, f"{text[:80]!r} sets nothing, and reads as if it did", hint=hint)
            yield from _settings(item.children, section, checks)
        before = item


def _is_setting(item: Item, before: Item | None, section: Section, checks: Checks) -> bool:
    inside = section.name in _SECTIONS
    if inside and item.text.startswith("|"):
        checks.fail(item.line, "a table is not read here", hint="write `- key: value` lines")
    if inside and item.is_bullet and not item.key:
        checks.fail(item.line, "a list item here must be `- key: value`", hint="write prose without a bullet")
    known = _plain(item.key) in _KNOWN
    if not item.key or item.is_bullet:
        return bool(item.key) and (inside or known or " " not in item.key)
    # Prose may hold a colon ("Note: we ..."), also where a sentence goes on from the line before.
    short = len(without_remark(item.text).split()) < 2
    if not known and not item.text and item.children:
        return False
    if (inside and short) or (known and (short or bool(_SECTIONS.get(section.name)))):
        return True
    goes_on = before is not None and not before.key and before.line == item.line - 1
    return " " not in item.key and item.key[0].islower() and (short or not goes_on)


def _named(entry: Entry) -> Entry:
    """The entry under the name that its key stands for: ``Reversible write`` is ``reversible_write``."""
    key = _KNOWN.get(_plain(entry.key), entry.key)
    return Entry(key, entry.line, entry.value, tuple(map(_named, entry.children)), entry.is_map)
