"""What tools returned, as sources with quotable passages. Shapes are read by field name; the unknown is skipped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from argosy_host.providers.base import ToolReturn
from argosy_host.providers.offline.markdown import Unit, plain, read_units, shorten
from argosy_host.providers.offline.shapes import list_of, mapping_of, objects_of, text_of

# How much of a source a text is: a body holds what a recall and a snippet only show parts of.
_SNIPPET, _SUMMARY, _EXCERPT, _BODY = 1, 2, 3, 4
_MOST_CHARACTERS = 200_000
_DEEPEST = 4
_SCHEMES = frozenset({"wiki", "goal", "agent", "skill"})
_NO_DOCUMENTS = frozenset({"frontmatter", "steps", "notes"})
_NAMES = ("name", "page", "goal", "question", "agent", "run", "id")
_TEXTS = ("text", "summary", "description", "why", "message", "result", "title")
_HEADING = re.compile(r"\s*#{1,6}\s")
_BRACKETED = re.compile(r"\[([^\[\]]+)\]")
# Renderings that may break off in mid-sentence: their last unit says so unless it ends like a sentence.
_CUT_SHORT = (_SNIPPET, _EXCERPT)
_SENTENCE_END = re.compile("[.!?…。！？][\"'”’)\\]」]*$")
_CUT = re.compile(r"^(?:…|\.\.\.)\s*|\s*(?:…|\.\.\.)$")


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

    def add(self, text: str, rank: int, *, whole: bool = False) -> None:
        """Add a text. A fuller rendering of the source takes the place of a lesser one."""
        if rank < self.rank:
            return
        if rank > self.rank:
            self.units.clear()
        self.rank = rank
        units = [Unit(plain(text))] if whole else read_units(text)
        for position, unit in enumerate(units):
            cut = rank in _CUT_SHORT and position == len(units) - 1 and not _SENTENCE_END.search(unit.text)
            shown = shorten(unit.text) + (" …" if cut else "")
            if any(map(str.isalnum, shown)):
                self.units.setdefault(shown, Unit(shown, unit.heading, unit.box, position == 0))


class Evidence:
    """All sources of a run's results, in the order they were met."""

    def __init__(self, returns: Iterable[ToolReturn]) -> None:
        self._sources: dict[str, Source] = {}
        self._room = _MOST_CHARACTERS
        for result in returns:
            if not result.is_error:
                self._read(result)

    @property
    def sources(self) -> list[Source]:
        """Every source that holds something to quote."""
        return [source for source in self._sources.values() if source.units or source.steps]

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
        known = {name for note in objects_of(fields["notes"]) if (name := text_of(note, "name"))}
        sections = list(_sections(self._take(text_of(fields, "text")), known))
        # What stands before the first marker introduces the list; it is evidence only if there is no list.
        for title, name, section in sections[1:] or sections:
            described = {"name": name, "title": title} if name else {"name": tool}
            self._source(described, tool).add(section, _EXCERPT)

    def _read_item(self, fields: Mapping[str, object], tool: str) -> None:
        texts = list(_texts(fields))
        if not texts:
            return
        source = self._source(fields, tool)
        source.status = text_of(fields, "status") or source.status
        for text, rank, whole in texts:
            source.add(self._take(text), rank, whole=whole)
        for step in objects_of(fields.get("steps")):
            if label := plain(text_of(step, "label", "title", "text")):
                source.steps[shorten(label)] = text_of(step, "status")

    def _source(self, fields: Mapping[str, object], tool: str) -> Source:
        name, uri = _identity(fields, tool)
        found = self._sources.get(uri) or next((known for known in self._sources.values() if known.name == name), None)
        if found is None:
            day = _day_of(fields, uri)
            kind = "journal" if day else _kind(fields, uri, tool)
            found = self._sources[uri or name] = Source(name, uri, "", kind, day)
        found.title = found.title or plain(text_of(fields, "title"))
        return found

    def _take(self, text: str) -> str:
        """As much of the text as there is room for: no vault makes an answer slow."""
        taken = text[: self._room]
        self._room -= len(taken)
        return taken


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


def _texts(fields: Mapping[str, object]) -> Iterator[tuple[str, int, bool]]:
    """The quotable fields of an object: (text, how full a rendering it is, whether it is one unit)."""
    if "steps" in fields or "goal" in fields:
        for key in ("title", "why", "description"):
            yield text_of(fields, key), _BODY, key == "title"
    elif body := text_of(fields, "body", "content"):
        yield text_of(mapping_of(fields.get("frontmatter")), "description"), _BODY, False
        yield body, _BODY, False
    elif snippet := text_of(fields, "snippet"):
        yield _CUT.sub("", snippet.strip()), _SNIPPET, False
    elif text := text_of(fields, *_TEXTS):
        yield text, _BODY if text_of(fields, "text") else _SUMMARY, False


def _identity(fields: Mapping[str, object], tool: str) -> tuple[str, str]:
    """Name and address of the document an object is of."""
    uri = text_of(fields, "uri")
    if day := _day_of(fields, uri):
        return f"journal/{day}", uri or f"journal://{day}"
    name = " ".join(plain(text_of(fields, *_NAMES, "title")).split("]")) or tool
    prefix = tool.partition("_")[0]
    made = f"memory://note/{name}" if prefix == "memory" else f"{prefix}://{name}" if prefix in _SCHEMES else ""
    return name, uri or (made if name != tool else "")


def _day_of(fields: Mapping[str, object], uri: str) -> str:
    """The day of a journal entry, from its field or its address; empty for anything else."""
    day = (
        text_of(fields, "day") or uri.removeprefix("journal://")
        if "://" not in uri or uri.startswith("journal:")
        else ""
    )
    try:
        return date.fromisoformat(day[:10]).isoformat()
    except ValueError:
        return ""


def _kind(fields: Mapping[str, object], uri: str, tool: str) -> str:
    """A note's type, from its field or its name; else the first word of the address or the tool."""
    if declared := text_of(fields, "type", "kind"):
        return declared
    name = text_of(fields, "name")
    if uri.startswith("memory://") and "_" in name:
        return name.partition("_")[0]
    return uri.partition(":")[0] or tool.partition("_")[0]
