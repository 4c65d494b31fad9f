"""Exports of chat services: ChatGPT's and Claude's, as a folder, an archive, or ``conversations.json`` alone.

ChatGPT: a list of conversations, each a tree of messages under ``mapping``; what was last seen is the path from
``current_node`` up to the root. Claude: a list of conversations with ``chat_messages``; projects hold documents.
Messages of tools, hidden ones and drawings are counted and left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from argosy_core.clock import parse_time, rfc3339
from argosy_core.conversations import Turn
from argosy_host.importing.containers import Bundle
from argosy_host.importing.foreign import Into, Item, Page, Talk, Unusable
from argosy_host.importing.streams import values

MOST_MESSAGES = 100_000
Fields = Mapping[str, Any]


class _Export:
    """What both exports are: conversations in JSON, streamed one by one."""

    kind = ""
    label = ""
    into: Into = "wiki"

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def items(self) -> Iterator[Item]:
        for name in _conversation_files(self._bundle):
            for number, fields in self._objects(name):
                where = f"{name.rsplit('/', 1)[-1]}, entry {number}"
                yield self._talk(fields, where) if fields is not None else Unusable(where, "is no conversation")

    def _objects(self, name: str) -> Iterator[tuple[int, Fields | None]]:
        with self._bundle.opened(name) as stream:
            for number, found in enumerate(values(stream, name.rsplit("/", 1)[-1]), 1):
                yield number, _fields(found)

    def _talk(self, fields: Fields, where: str) -> Item:
        raise NotImplementedError


class ChatGpt(_Export):
    """An export of ChatGPT."""

    kind = "chatgpt"

    def _talk(self, fields: Fields, where: str) -> Item:
        identity = _text(fields.get("conversation_id")) or _text(fields.get("id"))
        mapping = _fields(fields.get("mapping"))
        if mapping is None or not identity:
            return Unusable(where, "is no conversation of ChatGPT")
        turns, left_out = list[Turn](), 0
        for message in _branch(mapping, _text(fields.get("current_node"))):
            turn = _chatgpt_turn(message)
            if turn is None:
                left_out += bool(_said(message))
            elif turn.content:
                turns.append(turn)
        title = _text(fields.get("title"))
        return Talk(identity, title, tuple(turns), _day(_moment(fields.get("create_time"))), left_out)


class Claude(_Export):
    """An export of Claude."""

    kind = "claude"

    def items(self) -> Iterator[Item]:
        yield from super().items()
        for name in self._bundle.having("projects"):
            for number, fields in self._objects(name):
                yield from _project_pages(fields or {}, f"projects.json, entry {number}")

    def _talk(self, fields: Fields, where: str) -> Item:
        identity = _text(fields.get("uuid"))
        if not identity or not isinstance(fields.get("chat_messages"), list):
            return Unusable(where, "is no conversation of Claude")
        turns, left_out = list[Turn](), 0
        for message in map(_fields, _list(fields.get("chat_messages"))):
            turn = _claude_turn(message or {})
            left_out += turn is None
            if turn is not None:
                turns.append(turn)
        name = _text(fields.get("name"))
        return Talk(identity, name, tuple(turns), _day(_moment(fields.get("created_at"))), left_out)


def kind_of(bundle: Bundle) -> str | None:
    """Which export *bundle* is, by its first conversation; None when it is neither."""
    for name in _conversation_files(bundle):
        with bundle.opened(name) as stream:
            first = _fields(next(values(stream, name.rsplit("/", 1)[-1]), None)) or {}
        if "mapping" in first:
            return ChatGpt.kind
        if "chat_messages" in first:
            return Claude.kind
    return None


def _conversation_files(bundle: Bundle) -> Sequence[str]:
    # A single file may have been given any name.
    return bundle.names if len(bundle.names) == 1 and not bundle.is_archive else bundle.having("conversations")


def _branch(mapping: Fields, current: str) -> list[Fields]:
    """The messages from the root down to *current*, or down to the last leaf where nothing says which is current."""
    node = current if current in mapping else _last_leaf(mapping)
    found: list[Fields] = []
    seen: set[str] = set()
    while node and node not in seen and len(seen) < MOST_MESSAGES:
        seen.add(node)
        entry = _fields(mapping.get(node)) or {}
        message = _fields(entry.get("message"))
        if message is not None:
            found.append(message)
        node = _text(entry.get("parent"))
    return found[::-1]


def _last_leaf(mapping: Fields) -> str:
    leaves = [name for name, entry in mapping.items() if not _list((_fields(entry) or {}).get("children"))]
    return leaves[-1] if leaves else ""


def _chatgpt_turn(message: Fields) -> Turn | None:
    role = _text((_fields(message.get("author")) or {}).get("role"))
    hidden = (_fields(message.get("metadata")) or {}).get("is_visually_hidden_from_conversation") is True
    content = _fields(message.get("content")) or {}
    if role not in ("user", "assistant") or hidden or content.get("content_type") not in ("text", "multimodal_text"):
        return None
    return Turn(role, _said(message), _stamp(_moment(message.get("create_time"))), 0, key=_text(message.get("id")))


def _said(message: Fields) -> str:
    content = _fields(message.get("content")) or {}
    parts = [_part(part) for part in _list(content.get("parts"))]
    return "\n\n".join(part for part in parts if part).strip() or _text(content.get("text"))


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    kind = _text((_fields(part) or {}).get("content_type"))
    return f"[{kind or 'attachment'}]"


def _claude_turn(message: Fields) -> Turn | None:
    role = {"human": "user", "assistant": "assistant"}.get(_text(message.get("sender")))
    blocks = [block for block in map(_fields, _list(message.get("content"))) if block]
    said = "\n\n".join(_text(block.get("text")) for block in blocks if block.get("type") == "text").strip()
    said = said or _text(message.get("text"))
    for attachment in map(_fields, _list(message.get("attachments"))):
        text = _text((attachment or {}).get("extracted_content"))
        if text:
            said += f"\n\n[{_text((attachment or {}).get('file_name')) or 'attachment'}]\n\n{text}"
    if role is None or not said.strip():
        return None
    return Turn(role, said.strip(), _stamp(_moment(message.get("created_at"))), 0, key=_text(message.get("uuid")))


def _project_pages(project: Fields, where: str) -> Iterator[Item]:
    identity, name = _text(project.get("uuid")), _text(project.get("name"))
    if not identity:
        yield Unusable(where, "is no project of Claude")
        return
    day = _day(_moment(project.get("created_at")))
    prompt = _text(project.get("prompt_template"))
    if prompt:
        yield Page(f"{identity}/instructions", f"{name}: instructions", prompt, f"{name}/instructions", day=day)
    for number, document in enumerate(map(_fields, _list(project.get("docs"))), 1):
        title, content = _text((document or {}).get("filename")), _text((document or {}).get("content"))
        title = title.removesuffix(".md")
        key = _text((document or {}).get("uuid")) or str(number)
        if content.strip():
            yield Page(f"{identity}/{key}", title or f"document {number}", content, f"{name}/{title or key}", day=day)


def _fields(value: Any) -> Fields | None:
    return cast("Fields", value) if isinstance(value, dict) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _moment(value: Any) -> datetime | None:
    try:
        if isinstance(value, str):
            return parse_time(value)
        return datetime.fromtimestamp(value, UTC) if isinstance(value, (int, float)) else None
    except (ValueError, OverflowError, OSError):
        return None


def _stamp(moment: datetime | None) -> str:
    return rfc3339(moment) if moment else ""


def _day(moment: datetime | None) -> str | None:
    return moment.date().isoformat() if moment else None
