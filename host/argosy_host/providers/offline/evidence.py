"""What tools returned, as sources with quotable passages. Shapes are read by field name; the unknown is skipped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from argosy_host.providers.base import ToolReturn
from argosy_host.providers.offline.markdown import Unit, plain, read_units, shorten
from argosy_host.providers.offline.origin import day_of, identity_of, kind_of
from argosy_host.providers.offline.shapes import list_of, mapping_of, objects_of, text_of

# How much of a source a text is: a body holds what a recall and a snippet only show parts of.
SNIPPET, _SUMMARY, _EXCERPT, _BODY = 1, 2, 3, 4
_MOST_CHARACTERS = 200_000
_MOST_UNITS = 2000
_LONGEST_TITLE = 200
_DEEPEST = 4
_NO_DOCUMENTS = frozenset({"frontmatter", "steps", "notes"})
_TEXTS = ("text", "summary", "description", "why", "message", "result", "title")
_HEADING = re.compile(r"\s*#{1,6}\s")
_BRACKETED = re.compile(r"\[([^\[\]]+)\]")
_CUT_BEFORE = re.compile(r"\s*(?:…|\.\.\.)\s*")
_CUT_AFTER = re.compile(r"\s*(?:…|\.\.\.)\s*$")
# The line under a recalled note's heading: "(decision, observed, 2026-10-26)".
_DESCRIPTION = re.compile(r"\s*\([^()\n]*\)[ \t]*$", re.MULTILINE)


@dataclass(slots=True)
class Source:
    """A document something can be quoted from. *kind* is a note's type, or `journal`, `goal`, `event`…"""

    name: str
    uri: str
    title: str
    kind: str
    day: str = ""
    status: str = ""
    rank: int = 0
    units: dict[str, Unit] = field(default_factory=dict[str, Unit])
    steps: dict[str, str] = field(default_factory=dict[str, str])
    # The steps that wait for nothing, where the source says which.
    ready: frozenset[str] = frozenset()

    def add(self, text: str, rank: int, *, whole: bool = False) -> None:
        """Add a text. A fuller rendering of the source takes the place of a lesser one."""
        if rank < self.rank:
            return
        if rank > self.rank:
            self.units.clear()
        self.rank = rank
        units = [Unit(plain(text))] if whole else _read_snippet(text) if rank == SNIPPET else read_units(text)
        for position, unit in enumerate(units):
            shown = shorten(unit.text)
            if any(map(str.isalnum, shown)):
                self.units.setdefault(shown, Unit(shown, unit.heading, unit.box, position == 0))
            if len(self.units) >= _MOST_UNITS:
                break


class Evidence:
    """All sources of a run's results, in the order they were met."""

    def __init__(self, returns: Iterable[ToolReturn]) -> None:
        self._sources: list[Source] = []
        self._known: dict[str, Source] = {}
        self._room = _MOST_CHARACTERS
        for result in returns:
            if not result.is_error:
                self._read(result)

    @property
    def sources(self) -> list[Source]:
        """Every source that holds something to quote."""
        return [source for source in self._sources if source.units or source.steps]

    def _read(self, result: ToolReturn) -> None:
        before = len(self._sources)
        structured = mapping_of(result.structured)
        self._walk(structured, result.name, 0)
        # A list of things without a text of their own is quoted as the tool put it into words.
        wordless = len(self._sources) == before and bool(list_of(structured.get("items")))
        if result.structured is None or wordless:
            self._source({"name": result.name}, result.name).add(self._take(result.text), _BODY)

    def _walk(self, value: object, tool: str, depth: int) -> None:
        fields = mapping_of(value)
        if isinstance(fields.get("notes"), list) and text_of(fields, "text"):
            self._read_recall(fields, tool)
        elif not any(isinstance(fields.get(key), list) for key in ("hits", "items")):
            self._read_item(fields, tool)
        if depth < _DEEPEST:
            for inner in (inner for key, inner in fields.items() if key not in _NO_DOCUMENTS):
                # Some lists run backwards in time; a day is told forwards.
                for item in sorted(list_of(inner) or [inner], key=_time_of):
                    self._walk(item, tool, depth + 1)

    def _read_recall(self, fields: Mapping[str, object], tool: str) -> None:
        sections = list(_sections(self._take(text_of(fields, "text")), _names_of(fields)))
        # What stands before the first marker introduces the list; it is evidence only if there is no list.
        for title, name, section in sections[1:] or sections:
            described = {"name": name, "title": title} if name else {"name": tool}
            description = _DESCRIPTION.match(section)
            self._source(described, tool).add(section[description.end() :] if description else section, _EXCERPT)

    def _read_item(self, fields: Mapping[str, object], tool: str) -> None:
        texts = list(_texts(fields))
        if not texts:
            return
        source = self._source(fields, tool)
        source.status = text_of(fields, "status", "state") or source.status
        for text, rank, whole in texts:
            source.add(self._take(text), rank, whole=whole)
        for step in objects_of(fields.get("steps")):
            if label := plain(text_of(step, "label", "title", "text")):
                source.steps[shorten(label)] = text_of(step, "status")
        ready = [shorten(plain(label)) for label in list_of(fields.get("next_steps")) if isinstance(label, str)]
        source.ready |= frozenset(ready)

    def _source(self, fields: Mapping[str, object], tool: str) -> Source:
        name, uri = identity_of(fields, tool)
        found = self._known.get(uri) or self._known.get(name)
        if found is None:
            day = day_of(fields, uri)
            found = Source(name, uri, "", "journal" if day else kind_of(fields, uri, tool), day)
            self._sources.append(found)
        self._known |= {name: found, uri or name: found}
        # What has no title is found by what it is: "failed", "run_completed".
        labels = text_of(fields, "title") or f"{text_of(fields, 'kind')} {text_of(fields, 'status')}"
        found.title = found.title or plain(labels[:_LONGEST_TITLE])
        return found

    def _take(self, text: str) -> str:
        """As much of the text as there is room for: no vault makes an answer slow."""
        taken = text[: self._room]
        self._room -= len(taken)
        return taken


def recalled_whole(fields: Mapping[str, object]) -> set[str]:
    """The names of the notes that a recall gave in full: a cut one ends with an ellipsis."""
    sections = _sections(text_of(fields, "text"), _names_of(fields))
    return {name for _, name, section in sections if name and not _CUT_AFTER.search(section.rstrip()[-8:])}


def _names_of(fields: Mapping[str, object]) -> set[str]:
    return {name for note in objects_of(fields.get("notes")) if (name := text_of(note, "name"))}


def _time_of(item: object) -> str:
    fields = mapping_of(item)
    return f"{text_of(fields, 'day')} {text_of(fields, 'time')}" if "day" in fields else ""


def _sections(text: str, known: set[str]) -> Iterator[tuple[str, str, str]]:
    """Cut a recalled text at its source markers: (title, name, text). The first part has no name.

    Only the names that came with the text are markers: a heading inside a note cannot pose as another note.
    """
    title, name, lines = "", "", list[str]()
    for line in text.splitlines():
        marked = [found for found in _BRACKETED.findall(line) if found in known] if _HEADING.match(line) else []
        if marked:
            yield title, name, "\n".join(lines)
            title, name, lines = line.partition(f"[{marked[-1]}]")[0].strip(" #"), marked[-1], []
        else:
            lines.append(line)
    yield title, name, "\n".join(lines)


def _read_snippet(text: str) -> list[Unit]:
    """The units of a stretch cut out of a text. Half a sentence is left out, or says where it was cut."""
    whole = _CUT_AFTER.sub("", text)
    cut_after = whole != text
    before = _CUT_BEFORE.match(whole)
    units = read_units(whole[before.end() :] if before else whole)
    if before and len(units) > 1:
        units, before = units[1:], None
    if cut_after and len(units) > 1:
        units, cut_after = units[:-1], False
    if before or cut_after:
        units = [Unit(f"{'… ' if before else ''}{unit.text}{' …' if cut_after else ''}") for unit in units]
    return units


def _texts(fields: Mapping[str, object]) -> Iterator[tuple[str, int, bool]]:
    """The quotable fields of an object: (text, how full a rendering it is, whether it is one unit)."""
    if "goal" in fields and text_of(fields, "title"):
        for key in ("title", "why", "intent", "description", "body"):
            yield text_of(fields, key), _BODY, key == "title"
    elif body := text_of(fields, "body", "content"):
        yield text_of(mapping_of(fields.get("frontmatter")), "description"), _BODY, False
        yield body, _BODY, False
    elif snippet := text_of(fields, "snippet"):
        yield snippet, SNIPPET, False
    elif text := text_of(fields, *_TEXTS):
        yield text, _BODY if text_of(fields, "text") else _SUMMARY, False
