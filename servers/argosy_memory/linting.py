"""Lint over what the index holds, once for each state of the notes, page by page."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from argosy_core.errors import ArgosyError
from argosy_core.index.documents import IndexedDocument
from argosy_core.index.face import Index
from argosy_core.index.library import Library
from argosy_core.serving.results import decode_offset, encode_cursor
from argosy_core.storage.base import Files
from argosy_memory.index_page import END, MOST_LISTED
from argosy_memory.lint import KINDS, Fact, Finding, examine, index_findings, read_body
from argosy_memory.upkeep_models import LintFinding, LintPage

PATIENCE_SECONDS = 20.0
MOST_OF_A_KIND = 2_000
REPORTS_KEPT = 4
_Report = tuple[int, dict[str, int], list[Finding]]


class Linter:
    """Lints. Every call blocks."""

    def __init__(self, files: Files, library: Library, today: Callable[[], str]) -> None:
        self._files = files
        self._library = library
        self._today = today
        self._guard = threading.Lock()
        self._reports: dict[tuple[str, ...], _Report] = {}

    def lint(self, agent: str, limit: int, cursor: str | None) -> LintPage:
        """A page of findings. Raises Unavailable while the index is being filled, InvalidArgument for the cursor."""
        start = decode_offset(cursor)
        with self._guard:  # one at a time: it is work for a core
            notes, counts, findings = self._report(agent)
        page = findings[start : start + limit]
        more = start + limit < len(findings)
        return LintPage(
            items=[LintFinding(kind=f.kind, names=list(f.names), detail=f.detail, fix=f.fix) for f in page],
            next_cursor=encode_cursor(start + limit) if more else None,
            counts=counts,
            notes=notes,
        )

    def _report(self, agent: str) -> _Report:
        index = self._library.whole(agent, ("notes", "wiki"), PATIENCE_SECONDS)
        path = f"{agent}/memory/INDEX.md"
        info = self._files.info(path)
        key = (agent, index.state(agent, "notes"), index.state(agent, "wiki"), self._today(), str(info))
        if key not in self._reports:
            while len(self._reports) >= REPORTS_KEPT:
                del self._reports[next(iter(self._reports))]
            self._reports[key] = self._made(agent, index, path)
        return self._reports[key]

    def _made(self, agent: str, index: Index, path: str) -> _Report:
        documents = [(_fact(document), document.stamp[0]) for document in index.scan(agent, "notes")]
        facts = [fact for fact, _ in documents]
        found = [
            *examine(facts, self._today()),
            *self._of_links(agent, index),
            *self._of_index_page(path, documents),
        ]
        counts = Counter(finding.kind for finding in found)
        kept: Counter[str] = Counter()
        shown: list[Finding] = []
        for finding in sorted(found, key=lambda each: (KINDS.index(each.kind), each.names)):
            kept[finding.kind] += 1
            if kept[finding.kind] <= MOST_OF_A_KIND:
                shown.append(finding)
        return len(facts), {kind: counts[kind] for kind in KINDS if counts[kind]}, shown

    def _of_links(self, agent: str, index: Index) -> Iterator[Finding]:
        for scope in ("notes", "wiki"):
            for path, target in index.unresolved(agent, scope, MOST_OF_A_KIND):
                name = path.split("/", 2)[2].removesuffix(".md")
                shown = name if scope == "notes" else f"wiki/{name}"
                yield Finding("dangling_link", (shown,), f"[[{target}]] is not there", "write it, or mend the link")

    def _of_index_page(self, path: str, documents: list[tuple[Fact, int]]) -> Iterator[Finding]:
        info = self._files.info(path)
        if info is None:
            return
        try:
            page = self._files.read(path).data.decode("utf-8", "replace")
        except ArgosyError:
            return  # the doctor names it
        is_whole = END in page and len(documents) <= MOST_LISTED
        # A note newer than the page is listed in a moment.
        expected = [fact.name for fact, mtime in documents if mtime < info.stamp[0]] if is_whole else []
        yield from index_findings(page, {fact.name for fact, _ in documents}, expected)


def _fact(document: IndexedDocument) -> Fact:
    extra: dict[str, Any] = json.loads(document.extra or "{}")
    numbers, negations, sketch = read_body(document.body)
    return Fact(
        name=document.name,
        title=document.title,
        type=document.type,
        day=document.day,
        captured=extra.get("captured", ""),
        expires=document.expires,
        pinned=document.pinned,
        hidden=document.hidden,
        confidence=extra.get("confidence", ""),
        provenance=extra.get("provenance", ""),
        sources=tuple(extra.get("sources", ())),
        supersedes=extra.get("supersedes", ""),
        superseded_by=extra.get("superseded_by", ""),
        degraded=extra.get("degraded"),
        drift=tuple(extra.get("drift", ())),
        numbers=numbers,
        negations=negations,
        sketch=sketch,
    )
