"""Fenced ``atomic_capture`` blocks in a model's text, as atomic-agents-stack 2.0 has them: strict JSON, one note each.

The fence has three or four backticks and is closed by as many on a line of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from argosy_core.errors import ArgosyError, InvalidArgument, TooLarge
from argosy_core.types import Caller
from argosy_memory.notes import Draft, check_draft
from argosy_memory.shelves import CONFIDENCES, uri_of
from argosy_memory.upkeep_models import Captured, CaptureProblem, Landed
from argosy_memory.writing import NoteWriter

MAX_TEXT_CHARS = 2_000_000
MOST_BLOCKS = 100
REQUIRED = ("type", "name", "description", "confidence", "sources", "body")
OPTIONAL = ("supersedes", "merge_into", "tags", "pinned", "expires_at")
_FENCE = re.compile(r"^[ ]{0,3}(`{3,16}|~{3,16})")
_OPENING = re.compile(r"^[ ]{0,3}(`{3,4})atomic_capture[ \t]*$")


@dataclass(frozen=True, slots=True)
class Block:
    """One capture block: the *line* its fence opens at, from 1, and its *text*; None when it is never closed."""

    line: int
    text: str | None


def blocks_in(text: str) -> Iterator[Block]:
    """The capture blocks of *text*, in order. Blocks inside other fences are text about captures, not captures; a fence
    that is never closed is none, so that it swallows nothing."""
    lines = text.splitlines()
    open_for_good: set[str] = set()  # what was looked for once to the end of the text is not looked for again
    at = 0
    while at < len(lines):
        opening, other = _OPENING.match(lines[at]), _FENCE.match(lines[at])
        fence = opening[1] if opening else other[1] if other else ""
        key = f"={fence}" if opening else fence
        end = _closing(lines, at + 1, fence, exactly=opening is not None) if key and key not in open_for_good else None
        if end is None:
            open_for_good.add(key)
        if opening is not None:
            yield Block(at + 1, "\n".join(lines[at + 1 : end]) if end is not None else None)
        at = at + 1 if end is None else end + 1


def _closing(lines: Sequence[str], start: int, fence: str, *, exactly: bool) -> int | None:
    def closes(line: str) -> bool:
        return line == fence if exactly else len(line) >= len(fence) and set(line) == {fence[0]}

    return next((at for at in range(start, len(lines)) if closes(lines[at].strip())), None)


def draft_in(block: Block) -> Draft:
    """The note that *block* asks for. Raises InvalidArgument or TooLarge, naming the field or the place in the JSON."""
    if block.text is None:
        raise InvalidArgument(
            "the block is never closed", hint="close it with as many backticks, on a line of their own"
        )
    try:
        fields: Any = json.loads(block.text, object_pairs_hook=_once, parse_constant=_refuse)
    except json.JSONDecodeError as exc:
        raise InvalidArgument(
            f"not JSON: {exc.msg} at line {block.line + exc.lineno}", hint="write one object"
        ) from exc
    except RecursionError as exc:
        raise InvalidArgument("nested too deep", hint="write one flat object") from exc
    if not isinstance(fields, dict):
        raise InvalidArgument("not an object", hint='write {"type": …, "name": …, "body": …}')
    return _draft(cast("dict[str, Any]", fields))


def _draft(fields: Mapping[str, Any]) -> Draft:
    missing = [name for name in REQUIRED if name not in fields]
    unknown = [name for name in fields if name not in (*REQUIRED, *OPTIONAL)]
    if missing or unknown:
        problems = [f"lacks {', '.join(missing)}"] * bool(missing)
        problems += [f"does not take {', '.join(map(repr, unknown[:5]))}"] * bool(unknown)
        raise InvalidArgument(f"a capture {' and '.join(problems)}", hint=f"it needs {', '.join(REQUIRED)}")
    for name in ("type", "name", "description", "confidence", "body"):
        _expect(name, fields[name], isinstance(fields[name], str), "a text")
    for name in ("supersedes", "merge_into", "expires_at"):
        _expect(name, fields.get(name), isinstance(fields.get(name), str | None), "a text or null")
    sources, tags = fields["sources"], fields.get("tags")
    _expect("sources", sources, _are_texts(sources) and bool(sources), "a list of at least one text")
    _expect("tags", tags, tags is None or _are_texts(tags), "a list of texts")
    _expect("pinned", fields.get("pinned"), isinstance(fields.get("pinned"), bool | None), "true or false")
    _expect("confidence", fields["confidence"], fields["confidence"] in CONFIDENCES, "high, medium or low")
    return check_draft(
        Draft(
            fields["type"],
            fields["name"],
            fields["body"],
            fields["description"],
            tuple(tags) if tags is not None else None,
            tuple(sources),
            fields["confidence"],
            fields.get("pinned"),
            fields.get("expires_at"),
            fields.get("supersedes"),
            fields.get("merge_into"),
        )
    )


def _expect(name: str, value: Any, holds: bool, form: str) -> None:
    if not holds:
        raise InvalidArgument(f"{name} is {form}, not {json.dumps(value, default=str)[:60]}")


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in cast("list[object]", value))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InvalidArgument("a name stands twice in the block", hint="give each field once")
    return fields


def _refuse(text: str) -> NoReturn:
    raise InvalidArgument(f"{text} is not JSON")


async def capture(writer: NoteWriter, agent: str, caller: Caller, text: str) -> Captured:
    """Write every note that *text* asks for; a bad one is reported and stops no other. Raises TooLarge."""
    if len(text) > MAX_TEXT_CHARS:
        raise TooLarge(f"the text has more than {MAX_TEXT_CHARS} characters", hint="send the part with the blocks")
    landed: list[Landed] = []
    problems: list[CaptureProblem] = []
    for count, block in enumerate(blocks_in(text)):
        try:
            if count >= MOST_BLOCKS:
                raise TooLarge(f"a text has at most {MOST_BLOCKS} captures", hint="send the rest in another call")
            note = await writer.write(agent, caller, draft_in(block))
        except ArgosyError as error:
            problems.append(CaptureProblem(line=block.line, code=error.code, reason=str(error)))
            if count >= MOST_BLOCKS:
                break
        else:
            uri = uri_of("notes", note.name)
            landed.append(Landed(name=note.name, uri=uri, line=block.line, duplicate=note.duplicate))
    return Captured(landed=landed, problems=problems)
