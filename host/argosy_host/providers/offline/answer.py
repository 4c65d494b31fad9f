"""The answer: sections of quotations, each with its source, and a last line that says what wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from argosy_host.providers.base import Citation, ToolReturn
from argosy_host.providers.offline import cues
from argosy_host.providers.offline.draft import Draft, Section
from argosy_host.providers.offline.evidence import Evidence
from argosy_host.providers.offline.intent import Question
from argosy_host.providers.offline.markdown import plain, shorten
from argosy_host.providers.offline.passages import Corpus, Passage
from argosy_host.providers.offline.sections import sections

QUOTED = "Quoted from the vault by the built-in offline model; no language model was used."
UNQUOTED = "Written by the built-in offline model; no language model was used."
_MOST_BULLETS = 10
_LONGEST_ERROR = 240


@dataclass(frozen=True, slots=True)
class Answer:
    """Text and what it quotes, in the order of quotation."""

    text: str
    citations: tuple[Citation, ...] = ()


def compose(question: Question, returns: Sequence[ToolReturn], opening: str, most_tokens: int) -> Answer:
    """The longest answer whose estimated tokens stay within the bound; the shortest one if none does.

    *opening* is said first: what came of a note to be saved.
    """
    corpus = Corpus(Evidence(returns).sources)
    answer = _compose(Draft(question, corpus, _MOST_BULLETS), returns, opening)
    for room in range(_MOST_BULLETS - 1, 0, -1):
        if estimate_tokens(answer.text) <= most_tokens:
            break
        answer = _compose(Draft(question, corpus, room), returns, opening)
    return answer


def estimate_tokens(text: str) -> int:
    """Four characters a token, rounded up: the usual estimate where there is no tokeniser."""
    return -(-len(text) // 4)


def _compose(draft: Draft, returns: Sequence[ToolReturn], opening: str) -> Answer:
    looked = any(not result.is_error for result in returns)
    found = list(sections(draft)) if looked else []
    quoted = [passage for section in found for passage in section.passages]
    missing = [section.missing for section in found if section.missing is not None]
    blocks = [opening, *map(_render, found)]
    blocks.append(_suggestion(missing, returns) if missing or not quoted else "")
    blocks.append(_failures(returns))
    blocks.append(QUOTED if quoted else UNQUOTED)
    return Answer("\n\n".join(filter(None, blocks)), _citations(quoted))


def _render(section: Section) -> str:
    bullets = [f"- {passage.text} [{passage.source.name}]" for passage in section.passages]
    return "\n".join([section.heading, *bullets])


def _citations(quoted: Sequence[Passage]) -> tuple[Citation, ...]:
    found = {passage.source.name: Citation(passage.source.name, passage.source.uri) for passage in quoted}
    return tuple(citation for citation in found.values() if citation.uri)


def _suggestion(missing: Sequence[str], returns: Sequence[ToolReturn]) -> str:
    """Where was looked, and what to type next."""
    tried = dict.fromkeys(result.name.partition("_")[0] for result in returns)
    if not tried:
        return "Nothing was searched: no tool here reads the vault for this. `mcp-host tools` lists what there is."
    if all(result.is_error for result in returns):
        return "The vault could not be searched. Try `mcp-host doctor`."
    places = ", ".join(cues.PLACES.get(prefix, prefix) for prefix in tried)
    # A label holds words only: nothing in it can end the quotes of a command.
    label = " ".join(missing).strip()
    search = f'`mcp-host search "{label}" --explain`' if label else "`mcp-host doctor`"
    return f"Searched: {places}. Try {search}, or say “remember that …” to add what should be known."


def _failures(returns: Sequence[ToolReturn]) -> str:
    # That a guessed name does not exist is no failure anybody has to act on.
    failed = [result for result in returns if result.is_error and not result.text.startswith("not_found")]
    return "\n".join(dict.fromkeys(f"{result.name} failed: {told(result)}" for result in failed))


def told(result: ToolReturn) -> str:
    """What a tool said, on one line."""
    return shorten(plain(result.text), _LONGEST_ERROR)
