"""How a person answers a question: said in the file, and in every result."""

from __future__ import annotations

import json
import shlex

from argosy_desk.kinds import JUDGED, Kind

_JUDGED_WORDS = "`Denied`, `Redacted`, or `Revised` with `amendment:` and a fenced YAML block, in place of `Approved`"


def how_to_answer(question: str, kind: Kind, options: tuple[str, ...], path: str) -> str:
    """Both ways, in two sentences."""
    return f"{by_command(question, kind, options)} Or in any editor, at the end of {path}: {_in_words(kind, options)}"


def by_command(question: str, kind: Kind, options: tuple[str, ...]) -> str:
    """The command that answers, with the likeliest choice filled in."""
    arguments = json.dumps({"question": question, "choice": _example(kind, options)}, ensure_ascii=False)
    return f"mcp-host call desk_answer {shlex.quote(arguments)} --role operator"


def in_file(question: str, kind: Kind, options: tuple[str, ...]) -> str:
    """What the file itself says about answering it."""
    example = f"### {_verb(kind)} by your name"
    choice = "" if kind in JUDGED else f"\n\nchoice: {_example(kind, options)}"
    words = f" ({_JUDGED_WORDS})" if kind in JUDGED else ""
    return (
        f"In any editor: write below Resolution, at the end of this file{words}:\n\n"
        f"```markdown\n{example}{choice}\n```\n\n"
        f"Or run:\n\n```sh\n{by_command(question, kind, options)}\n```"
    )


def _in_words(kind: Kind, options: tuple[str, ...]) -> str:
    if kind in JUDGED:
        return "'### Approved by <your name>' (or Denied, Redacted, Revised)."
    return f"'### Answered by <your name>' and below it 'choice: {_example(kind, options)}'."


def _verb(kind: Kind) -> str:
    return "Approved" if kind in JUDGED else "Answered"


def _example(kind: Kind, options: tuple[str, ...]) -> str:
    if kind in JUDGED:
        return "approve"
    return options[0] if options else "…"
