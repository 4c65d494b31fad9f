"""How a person answers a question: said in the file, and in every result.

The file never shows a heading that answers it: a reader less careful than this one might take the example for the act.
"""

from __future__ import annotations

import shlex

from argosy_desk.kinds import JUDGED, Kind

_ANY = "…"


def how_to_answer(question: str, kind: Kind, options: tuple[str, ...], path: str | None) -> str:
    """Both ways, in two sentences; without a *path* only the one that shows that somebody is there."""
    if path is None:
        return f"To answer, at a terminal: {_command(question, kind, options)}"
    if kind in JUDGED:
        words = "'### Approved by <your name>' (or Denied, Redacted, Revised)"
    else:
        words = f"'### Answered by <your name>' and below it 'choice: {_example(kind, options)}'"
    return f"To answer: {_command(question, kind, options)}\nor write in any editor at the end of {path}: {words}"


def in_file(question: str, kind: Kind, options: tuple[str, ...], *, at_terminal: bool = False) -> str:
    """What the file itself says about answering it; *at_terminal* says that an answer written here does not count."""
    if at_terminal:
        return (
            "`fleet.md` asks for a person who is there: an approval written here does not count, a denial does. "
            f"At a terminal:\n\n```sh\n{_command(question, kind, options)}\n```"
        )
    if kind in JUDGED:
        words = (
            "`### … by NAME`, with Approved, Denied, Redacted or Revised for the dots. A `note:` may stand below it; "
            "Revised needs `amendment:` and a fenced YAML block with the fields that change"
        )
    else:
        words = "`### Answered by NAME`, and below it `choice:` with what you choose"
    return (
        f"In any editor, write a heading below Resolution: {words}.\n\n"
        f"Or run:\n\n```sh\n{_command(question, kind, options)}\n```"
    )


def _command(question: str, kind: Kind, options: tuple[str, ...]) -> str:
    return f"mcp-host decide {question} {shlex.quote(_example(kind, options))}"


def _example(kind: Kind, options: tuple[str, ...]) -> str:
    if kind in JUDGED:
        return "approve"
    return options[0] if options else _ANY
