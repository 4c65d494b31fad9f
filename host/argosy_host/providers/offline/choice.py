"""Which read tools to call: first by what a question says, then by what the first answers point to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from urllib.parse import unquote

from argosy_host.providers.base import ToolCall, ToolReturn, ToolSpec
from argosy_host.providers.offline import arguments, cues
from argosy_host.providers.offline.arguments import Material
from argosy_host.providers.offline.evidence import recalled_whole
from argosy_host.providers.offline.intent import Question
from argosy_host.providers.offline.ranking import Bm25, weigh
from argosy_host.providers.offline.shapes import mapping_of, objects_of, text_of
from argosy_host.providers.offline.words import query_tokens, tokens

MOST_CALLS = 5
_MOST_NOTES = 3
_MOST_NAMED = 2
_MOST_WIDER = 2
_LONGEST_NAME = 200
_THRESHOLD = 2.0
_MOST_BY_WORDS_ALONE = 2
# A status that is not known counts as open: better one read too many than a goal left out.
OPEN_STATUSES = frozenset({"in_progress", "pending", "awaiting_decision", "active", "blocked", ""})

Wish = tuple[str, Mapping[str, object]]
Read = tuple[str, str, str]


def first_calls(question: Question, tools: Sequence[ToolSpec]) -> list[Wish]:
    """The calls of the first turn: what the person named, then the best tools.

    A search is asked once for each part of the question.
    """
    readers = [tool for tool in tools if tool.read_only]
    named = _named_reads(question, {tool.name: tool for tool in readers}, {tool.name for tool in tools})
    found = [wish for tool in _rank(question, readers) for wish in _calls(tool, question)]
    return [*named, *found][:MOST_CALLS]


def _named_reads(question: Question, readers: Mapping[str, ToolSpec], tools: set[str]) -> Iterator[Wish]:
    """Reads of what the task calls by its name: `goal_…` is read by `goal_get`, anything else by `memory_read`."""
    for identifier in question.identifiers[:_MOST_NAMED]:
        item = {"name": identifier}
        prefix = identifier.partition("_")[0]
        if identifier not in tools and (read := _read_of(item, prefix, readers) or _read_of(item, "memory", readers)):
            yield read[0], {read[1]: identifier}


def _calls(tool: ToolSpec, question: Question) -> Iterator[Wish]:
    split = arguments.takes_keywords(tool.input_schema) and len(question.facets) > 1
    queries = [facet.label for facet in question.facets] if split else [_label(question)]
    for query in queries:
        filled = arguments.fill(tool.input_schema, Material(question, query))
        if filled is not None:
            yield tool.name, filled


def _label(question: Question) -> str:
    return " ".join(facet.label for facet in question.facets)


def _rank(question: Question, readers: Sequence[ToolSpec]) -> list[ToolSpec]:
    """The tools worth calling: those the wording asks for, and few that merely share its words."""
    wording = _wording_scores(question, readers)
    boosts = [_boost(question, tool) for tool in readers]
    scored = sorted(zip(boosts, wording, readers, strict=True), key=lambda row: (-row[0] - row[1], row[2].name))
    meant = [row for row in scored if row[0] > 0 and row[0] + row[1] >= _THRESHOLD]
    alike = [row for row in scored if row[0] <= 0 and row[1] >= _THRESHOLD][:_MOST_BY_WORDS_ALONE]
    return [tool for _, _, tool in meant + alike]


def _wording_scores(question: Question, readers: Sequence[ToolSpec]) -> list[float]:
    """BM25 of the task against each tool's name, description and parameters; one chance word counts nothing."""
    documents = [_document(tool) for tool in readers]
    query = query_tokens(question.text)
    scores = Bm25(documents).scores(query)
    strong = [
        not set(query).isdisjoint(tokens(tool.name)) or sum(token in document for token in query) >= 3
        for tool, document in zip(readers, documents, strict=True)
    ]
    return [min(score, 3.0) if counts else 0.0 for score, counts in zip(scores, strong, strict=True)]


def _document(tool: ToolSpec) -> dict[str, float]:
    parameters = " ".join(mapping_of(tool.input_schema.get("properties")))
    return weigh((tool.name, 2.0), (tool.description, 1.0), (parameters, 0.5))


def _boost(question: Question, tool: ToolSpec) -> float:
    name = set(tool.name.split("_"))
    tables = [intent.boosts for intent in cues.INTENTS if intent.name in question.intents]
    if question.period:
        tables.append(cues.PERIOD_BOOSTS)
    total = sum(boost for table in tables for words, boost in table.items() if name.issuperset(words))
    return total + _search_boost(question, tool, name)


def _search_boost(question: Question, tool: ToolSpec, name: set[str]) -> float:
    """What a tool gains by looking for a text, which its name and its schema both have to say."""
    if name.isdisjoint(cues.SEARCH_WORDS) or not arguments.wants_text(tool.input_schema):
        return 0.0
    if question.facets:
        return 3.0 if "memory" in name else 2.5
    # With nothing to search for, the whole task is tried only if its wording asks for nothing else.
    return 1.5 if question.intents or question.period else 2.5


def follow_up_calls(
    question: Question, tools: Sequence[ToolSpec], returns: Sequence[ToolReturn], made: Sequence[ToolCall]
) -> list[Wish]:
    """Reads of what the first results name: the notes of the best hits, the steps of active goals."""
    readers = {tool.name: tool for tool in tools if tool.read_only}
    # Without a topic the excerpts of a recall are enough: whole notes would only drown them.
    keys = ("hits", "notes") if question.facets else ("hits",)
    notes, goals = list(_note_reads(returns, readers, keys)), list(_goal_reads(returns, readers))
    wanted = [*goals[:_MOST_NOTES], *notes] if question.intents & {cues.NEXT, cues.GOALS, cues.DIGEST} else notes
    done = {(call.name, value) for call in made for value in call.arguments.values() if isinstance(value, str)}
    fresh: dict[tuple[str, str], Wish] = {}
    for tool, argument, value in wanted:
        if (tool, value) not in done:
            fresh.setdefault((tool, value), (tool, {argument: value}))
    wider: list[Wish] = []
    for wish in _wider_calls(question, returns, made, readers):
        if wish not in wider and len(wider) < _MOST_WIDER:
            wider.append(wish)
    return [*wider, *fresh.values()][:MOST_CALLS]


def _wider_calls(
    question: Question, returns: Sequence[ToolReturn], made: Sequence[ToolCall], readers: Mapping[str, ToolSpec]
) -> Iterator[Wish]:
    """What found nothing, asked less narrowly: the longest word alone, or the newest instead of those days."""
    calls = {call.id: call for call in made}
    for result in returns:
        call = calls.get(result.call_id)
        if call and call.name in readers and is_empty(result):
            wider = {name: value for name, value in call.arguments.items() if name not in ("since", "until")}
            query = wider.get("query")
            if isinstance(query, str) and question.facets:
                wider["query"] = max(query.split(), key=len, default=query)
            if wider != call.arguments and arguments.is_complete(readers[call.name].input_schema, wider):
                yield call.name, wider


def is_empty(result: ToolReturn) -> bool:
    """Whether a search or a list found nothing (an error has not looked)."""
    structured = mapping_of(result.structured)
    listed = [structured[key] for key in ("hits", "items") if key in structured]
    return not result.is_error and bool(listed) and not any(listed)


def _note_reads(returns: Sequence[ToolReturn], readers: Mapping[str, ToolSpec], keys: Sequence[str]) -> Iterator[Read]:
    known = {name for result in returns for name in recalled_whole(mapping_of(result.structured))}
    # What a search hit comes before what a recall thought of.
    lists = [
        [(item, result.name) for item in _worth_reading(objects_of(mapping_of(result.structured).get(key)), known)]
        for key in keys
        for result in returns
    ]
    # The best hit of each search before the second of any: every part of a question gets its note.
    for hit, source in (pair for row in zip_longest(*lists) for pair in row if pair is not None):
        if read := _read_of(hit, source, readers):
            yield read


def _worth_reading(items: Sequence[Mapping[str, object]], known: set[str]) -> list[Mapping[str, object]]:
    # The best hit is read even if its text is known: only the note itself has the line that sums it up.
    unread = [item for place, item in enumerate(items) if place == 0 or text_of(item, "name") not in known]
    # A recall adds what is pinned or recent to whatever is asked: that a note is there says nothing of the topic.
    return [item for item in unread if not text_of(item, "why").startswith(("pinned", "recent"))][:_MOST_NOTES]


def _goal_reads(returns: Sequence[ToolReturn], readers: Mapping[str, ToolSpec]) -> Iterator[Read]:
    for result in returns:
        for item in objects_of(mapping_of(result.structured).get("items")):
            open_goal = text_of(item, "goal") and text_of(item, "status") in OPEN_STATUSES
            if open_goal and (read := _read_of(item, result.name, readers)):
                yield read


def _read_of(item: Mapping[str, object], source: str, readers: Mapping[str, ToolSpec]) -> Read | None:
    """The tool that reads this item, by its address: `wiki://a` is read by `wiki_read(page="a")`."""
    scheme, _, tail = text_of(item, "uri").partition("://")
    for verb in cues.DETAIL_VERBS:
        tool = readers.get(f"{scheme or source.partition('_')[0]}_{verb}")
        argument = arguments.only_required(tool.input_schema) if tool else None
        if tool and argument:
            value = text_of(item, argument) or unquote(tail) or text_of(item, "name")
            return (tool.name, argument, value) if 0 < len(value) <= _LONGEST_NAME else None
    return None
