"""The labelled set: notes of an invented lighthouse written for this project, three questions for each, and a haystack.

``notes.txt`` holds them: ``# type | title``, the text, then a question in the note's own words (``=``), one in other
forms of them (``~``), and one that says it otherwise (``%``). The haystack is made here: notes of words drawn from all
the others, so that every word of a question stands in many of them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import messages

from argosy_core.index import IndexedDocument

HERE = Path(__file__).parents[1] / "retrieval"
KINDS = {"=": "own words", "~": "other forms", "%": "said otherwise"}
HAY = 600
HAY_WORDS = 45


def words_of(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


_STOP = frozenset(
    words_of(
        "a an and are as at be by can do does for from how i in is it may me my of off on one or our out over should"
        " that the their them then to up us was we what when where which while who whom why will with would"
    )
)


@dataclass(frozen=True, slots=True)
class Labelled:
    """A question, how it is put, and the path of the note that answers it."""

    text: str
    kind: str
    path: str


def load() -> tuple[list[IndexedDocument], list[Labelled]]:
    """The notes and the questions about them."""
    documents: list[IndexedDocument] = []
    questions: list[Labelled] = []
    for number, block in enumerate((HERE / "notes.txt").read_text(encoding="utf-8").split("\n# ")):
        head, *lines = block.removeprefix("# ").strip().split("\n")
        type_, title = (part.strip() for part in head.split("|"))
        body = " ".join(line for line in lines if line[0] not in KINDS)
        document = _note(f"note_{number:03}", type_, title, body)
        documents.append(document)
        questions += [Labelled(line[2:], KINDS[line[0]], document.path) for line in lines if line[0] in KINDS]
    return documents, questions


def load_messages() -> tuple[list[IndexedDocument], list[Labelled]]:
    """Passages of the presidents' messages as notes, and the questions about some of them."""
    documents = [
        _note(each.name, "reference", f"{each.president} {each.year}, passage {each.number}", each.text)
        for each in messages.notes(messages.PASSAGES.read_text(encoding="utf-8"))
    ]
    paths = {document.name: document.path for document in documents}
    asked = messages.asked(messages.QUESTIONS.read_text(encoding="utf-8"))
    return documents, [Labelled(words, kind, paths[name]) for name, kind, words in asked]


def haystack(documents: Sequence[IndexedDocument], seed: int = 1907) -> Iterator[IndexedDocument]:
    """`HAY` notes that answer nothing."""
    chance = random.Random(seed)
    words = [word for document in documents for word in words_of(document.body)]
    titles = [word for document in documents for word in words_of(document.title)]
    for number in range(HAY):
        body = " ".join(chance.choice(words) for _ in range(HAY_WORDS))
        yield _note(f"hay_{number:03}", "reference", " ".join(chance.choice(titles) for _ in range(3)), f"{body}.")


def _note(name: str, type_: str, title: str, body: str) -> IndexedDocument:
    path = f"ada/memory/{name}.md"
    return IndexedDocument(path, "ada", "notes", name, title, type_, "", (), body, (1, len(body)), "2026-11-01")


def telling_words(text: str) -> list[str]:
    """The words of *text* without those that say nothing."""
    return [word for word in words_of(text) if word not in _STOP]


def meanings() -> Mapping[str, str]:
    """Words that mean alike, each with the first of them: what a model would know, for vectors that a test can make."""
    groups = [line.split() for line in (HERE / "meanings.txt").read_text(encoding="utf-8").splitlines() if line]
    return {word: group[0] for group in reversed(groups) for word in group}


class Grep:
    """What grep would find: files that hold the words of a question as they are typed, those with most different ones
    first, then those with most of them in all. Words that say nothing are left out of the question."""

    def __init__(self, documents: Sequence[IndexedDocument]) -> None:
        self._texts = [(document.path, f"{document.title}\n{document.body}".casefold()) for document in documents]

    def search(self, question: str, limit: int = 10) -> list[str]:
        wanted = set(telling_words(question))
        scored: list[tuple[int, int, str]] = []
        for path, text in self._texts:
            counts = [count for word in wanted if (count := text.count(word))]
            if counts:
                scored.append((-len(counts), -sum(counts), path))
        return [path for _, _, path in sorted(scored)[:limit]]


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a way of finding is over *questions*: the share whose note is among the first five, and the mean of one
    over its place (0 beyond the tenth)."""

    questions: int
    recall_at_5: float
    mrr: float


def measure(questions: Sequence[Labelled], found: Sequence[Sequence[str]]) -> Mapping[str, Quality]:
    """The quality in all and by kind of question."""
    places = [_place(question.path, paths) for question, paths in zip(questions, found, strict=True)]
    kinds = {"all": range(len(questions))} | {
        kind: [at for at, question in enumerate(questions) if question.kind == kind]
        for kind in dict.fromkeys(question.kind for question in questions)
    }
    return {kind: _quality([places[at] for at in chosen]) for kind, chosen in kinds.items()}


def _place(path: str, paths: Sequence[str]) -> int | None:
    return list(paths).index(path) + 1 if path in paths else None


def _quality(places: Sequence[int | None]) -> Quality:
    known = [place for place in places if place is not None]
    near = sum(place <= 5 for place in known)
    return Quality(len(places), near / len(places), sum(1 / place for place in known) / len(places))
