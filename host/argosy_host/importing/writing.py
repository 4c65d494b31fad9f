"""What an import would do, and doing it: nothing is overwritten, and the same source twice is the same as once.

A page is known again by the log (its source is the entry's key) and by its head, whatever it is called by now; a
conversation by the end of its name. What changed at the source since is told and left alone; a conversation that only
went on there is continued.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from anyio import to_thread

from argosy_core.canonical import sha256_hex
from argosy_core.clock import Clock
from argosy_core.conversations import SUFFIX, Turn, folder_of, turn_line
from argosy_core.errors import AlreadyExists, Conflict, NotFound, TooLarge
from argosy_core.frontmatter import parse
from argosy_core.names import shorten, slug
from argosy_core.storage.base import ABSENT, Store
from argosy_core.types import LOCAL_PRINCIPAL
from argosy_core.yamltext import is_map
from argosy_host.importing.foreign import Into, Item, Page, Reader, Talk
from argosy_host.importing.pages import digest_of, folder_for, note_text, paths_for, wiki_text

WRITER = "import"
MAX_CHARS = 1024**3  # of all pages of one import together
MAX_CONVERSATION_BYTES = 16 * 1024 * 1024
TITLE_BYTES = 80

Action = Literal["new", "grown", "same", "changed", "left_out"]


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one thing: *path* is where it is or would be put."""

    action: Action
    kind: Literal["note", "wiki", "conversation", "other"]
    what: str
    path: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Target:
    path: str
    step: Step


class Importer:
    """One import of one source into one agent. With *apply* unset nothing is written."""

    def __init__(self, store: Store, agent: str, clock: Clock, reader: Reader, into: Into, *, apply: bool) -> None:
        self._store = store
        self._documents = store.documents
        self._agent = agent
        self._today = clock.now().date().isoformat()
        self._reader = reader
        self._into: Into = into
        self._apply = apply
        self._taken: set[str] = set()

    async def steps(self) -> AsyncGenerator[Step]:
        """Everything the source holds, and what becomes of it. Raises ArgosyError where it must not be read on."""
        pages: list[Page] = []
        chars = 0
        items = self._reader.items()
        talks = await self._known_talks()
        while (item := await to_thread.run_sync(_next, items)) is not None:
            if isinstance(item, Page):
                item = _sound(item)
                chars += len(item.text or item.body)
                if chars > MAX_CHARS:
                    raise TooLarge("the source holds more than a gigabyte of text", hint="import a part of it")
                pages.append(item)
            elif isinstance(item, Talk):
                yield await self._talk(item, talks)
            else:
                yield Step("left_out", "other", item.what, None, item.why)
        async for step in self._pages(pages):
            yield step

    # Pages

    async def _pages(self, pages: list[Page]) -> AsyncGenerator[Step]:
        targets = [await self._target(page) for page in pages]
        names: dict[str, str] = {}
        for page, target in zip(pages, targets, strict=True):
            stem = target.path.rsplit("/", 1)[-1].removesuffix(".md")
            for link in page.links if "/memory/" in target.path else ():
                names.setdefault(link.casefold(), stem)
        for page, target in zip(pages, targets, strict=True):
            if self._apply and target.step.action == "new":
                yield await self._write_page(page, target, names)
            else:
                yield target.step

    async def _target(self, page: Page) -> _Target:
        """Where *page* is or goes, and what is to be done."""
        into = folder_for(page, self._into)
        kind: Literal["note", "wiki"] = "note" if into == "notes" else "wiki"
        digest = digest_of(page)
        entry = await self._store.chain.find(self._agent, WRITER, self._key(page.id))
        if entry is not None:
            path = str(entry.event.get("path"))
            return _Target(path, _known(kind, page, path, str(entry.event.get("sha256")) == digest))
        for path in paths_for(self._agent, page, into):
            if path in self._taken:
                continue
            there = await self._imported_digest(path, page.id)
            if there is None or there:
                self._taken.add(path)
                step = _known(kind, page, path, there == digest) if there else Step("new", kind, page.title, path)
                return _Target(path, step)
        return _Target("", Step("left_out", kind, page.title, None, "too many pages have this name"))

    async def _imported_digest(self, path: str, identity: str) -> str | None:
        """The digest under which this very page was put at *path*; "" when another stands there, None when nothing."""
        if await self._documents.info(path) is None:
            return None
        head = parse((await self._documents.read(path)).data.decode("utf-8", "replace")).fields.get("imported")
        if is_map(head) and head.get("from") == self._source(identity):
            return str(head.get("sha256"))
        return ""

    async def _write_page(self, page: Page, target: _Target, names: dict[str, str]) -> Step:
        source = self._source(page.id)
        if target.step.kind == "note":
            text = note_text(page, names, source, self._today)
        else:
            text = wiki_text(page, source, self._today)
        try:
            await self._documents.write(target.path, text.encode(), expect=ABSENT)
        except AlreadyExists:
            why = "somebody took the name just now; import again"
            return Step("left_out", target.step.kind, page.title, None, why)
        except TooLarge as error:
            return Step("left_out", target.step.kind, page.title, None, error.message)
        event = {"kind": "import.page", "source": source, "path": target.path, "sha256": digest_of(page)}
        await self._store.chain.append(self._agent, WRITER, event, key=self._key(page.id))
        self._store.bell.ring(target.path)
        return target.step

    def _source(self, identity: str) -> str:
        label = f"{self._reader.label}/" if self._reader.label else ""
        return f"{self._reader.kind}:{label}{identity}"

    def _key(self, identity: str) -> str:
        # Hashed: a source may name its pages at any length.
        return f"{self._reader.kind}:{sha256_hex(self._source(identity).encode())[:32]}"

    # Conversations

    async def _known_talks(self) -> dict[str, str]:
        """The conversations there are, by the end of their names."""
        infos = await self._documents.list(folder_of(self._agent, LOCAL_PRINCIPAL), SUFFIX)
        return {info.path.removesuffix(SUFFIX).rsplit("_", 1)[-1]: info.path for info in infos}

    async def _talk(self, talk: Talk, known: dict[str, str]) -> Step:
        title = talk.title or "(no title)"
        if not talk.turns:
            return Step("left_out", "conversation", title, None, "holds nothing that was said")
        ending = sha256_hex(_encodable(f"{self._reader.kind}:{talk.id}").encode())[:12]
        path = known.get(ending) or self._talk_path(talk, ending)
        data = b"".join(map(turn_line, self._turns(talk)))
        if len(data) > MAX_CONVERSATION_BYTES:
            return Step("left_out", "conversation", title, None, "is larger than 16 MiB")
        why = f"{talk.left_out} messages of other kinds are left out" if talk.left_out else ""
        action, version = await self._compare(path, data)
        if self._apply and action in ("new", "grown"):
            try:
                await self._documents.write(path, data, expect=version)
            except (AlreadyExists, Conflict):
                return Step("left_out", "conversation", title, path, "somebody wrote there just now; import again")
            known[ending] = path
            event = {"kind": "import.conversation", "source": self._reader.kind, "turns": len(talk.turns)}
            await self._store.chain.append(self._agent, WRITER, event)
        return Step(action, "conversation", title, path, _CHANGED if action == "changed" else why)

    async def _compare(self, path: str, data: bytes) -> tuple[Action, str]:
        try:
            there = await self._documents.read(path)
        except NotFound:
            return "new", ABSENT
        if there.data.startswith(data):  # it may have gone on here
            return "same", there.version
        return ("grown" if data.startswith(there.data) else "changed"), there.version

    def _talk_path(self, talk: Talk, ending: str) -> str:
        title = shorten(slug(talk.title), TITLE_BYTES) or self._reader.kind
        folder = folder_of(self._agent, LOCAL_PRINCIPAL)
        return f"{folder}/{talk.day or 'undated'}_{title}_{ending}{SUFFIX}"

    def _turns(self, talk: Talk) -> Iterator[Turn]:
        source = f"{self._reader.kind}:{talk.id}"
        for number, turn in enumerate(talk.turns, 1):
            yield Turn(
                turn.role,
                _encodable(turn.content),
                turn.ts,
                number,
                principal=LOCAL_PRINCIPAL,
                key=_encodable(turn.key or "") or None,
                source=_encodable(source),
            )


_CHANGED = "changed at its source or here since; left as it is"


def _known(kind: Literal["note", "wiki"], page: Page, path: str, same: bool) -> Step:
    return Step("same", kind, page.title, path) if same else Step("changed", kind, page.title, path, _CHANGED)


def _next(items: Iterator[Item]) -> Item | None:
    return next(items, None)


def _sound(page: Page) -> Page:
    """*page* without halves of character pairs, which JSON can hold and no file."""
    return replace(
        page,
        id=_encodable(page.id),
        title=_encodable(page.title),
        body=_encodable(page.body),
        place=_encodable(page.place),
        tags=tuple(map(_encodable, page.tags)),
        links=tuple(map(_encodable, page.links)),
    )


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
