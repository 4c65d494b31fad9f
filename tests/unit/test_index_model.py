"""Whatever is done to the index, it holds what a plain dictionary would hold."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from argosy_core.index import DocumentIndex, IndexedDocument, reconcile
from argosy_core.testing.fakes import FakeClock

WORDS = ("alpha", "beta", "gamma", "日本", "c++", "réunion", "🚀")
PATHS = [f"{agent}/{scope}/{name}.md" for agent in ("ada", "bob") for scope in ("notes", "wiki") for name in "abc"]

documents = st.builds(
    lambda path, words, title, **rest: IndexedDocument(
        path=path,
        agent=path.split("/")[0],
        scope=path.split("/")[1],
        name=path.split("/")[2].removesuffix(".md"),
        title=title,
        description="",
        tags=(),
        body=" ".join(words),
        **rest,
    ),
    path=st.sampled_from(PATHS),
    words=st.lists(st.sampled_from(WORDS), max_size=3),
    title=st.sampled_from(("", "Title", "alpha")),
    type=st.sampled_from(("user", "project")),
    stamp=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    day=st.sampled_from(("2026-11-01", "2026-11-02", "")),
    expires=st.sampled_from(("", "2026-11-19", "2026-11-20")),
    pinned=st.booleans(),
    hidden=st.booleans(),
    extra=st.sampled_from(("", "{}")),
)


class IndexAgainstDictionary(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.model: dict[str, IndexedDocument] = {}
        self.open()

    def open(self) -> None:
        self.index = DocumentIndex(self.folder / "index.sqlite", clock=FakeClock())

    def teardown(self) -> None:
        if hasattr(self, "index"):
            self.index.close()
            shutil.rmtree(self.folder)

    @rule(batch=st.lists(documents, max_size=4))
    def put(self, batch: list[IndexedDocument]) -> None:
        self.index.put(*batch)
        self.model |= {document.path: document for document in batch}

    @rule(paths=st.lists(st.sampled_from(PATHS), max_size=3))
    def remove(self, paths: list[str]) -> None:
        self.index.remove(*paths)
        for path in paths:
            self.model.pop(path, None)

    @rule(batch=st.lists(documents, max_size=4), agent=st.sampled_from(("ada", "bob")))
    def reconcile_one_scope(self, batch: list[IndexedDocument], agent: str) -> None:
        disk = {each.path: each for each in batch if (each.agent, each.scope) == (agent, "notes")}
        kept = {path: each for path, each in self.model.items() if not path.startswith(f"{agent}/notes/")}
        held = {path: each for path, each in self.model.items() if path in disk and each.stamp == disk[path].stamp}
        reconcile(self.index, agent, "notes", [(each.path, each.stamp) for each in disk.values()], disk.get, batch=2)
        self.model = kept | disk | held

    @rule(path=st.sampled_from(PATHS))
    def bump(self, path: str) -> None:
        if path in self.model:
            self.model[path] = replace(self.model[path], pinned=not self.model[path].pinned, stamp=(7, 7))
            self.index.put(self.model[path])

    @rule(whole=st.booleans())
    def tidy(self, whole: bool) -> None:
        self.index.tidy("ada", whole=whole)

    @rule()
    def reopen(self) -> None:
        self.index.close()
        self.open()

    @rule(word=st.sampled_from(WORDS), agent=st.sampled_from(("ada", "bob")), hidden=st.booleans())
    def search(self, word: str, agent: str, hidden: bool) -> None:
        hits = self.index.search(word, agent=agent, scopes=("notes", "wiki"), include_hidden=hidden, limit=50).hits
        assert sorted(hit.path for hit in hits) == sorted(
            path
            for path, each in self.model.items()
            if each.agent == agent
            and word in f"{each.title} {each.body}".split()
            and (hidden or not (each.hidden or (each.expires and each.expires < "2026-11-20")))
        )

    @rule(hidden=st.sampled_from((None, True, False)), pinned=st.sampled_from((None, True, False)))
    def list_by_pages(self, hidden: bool | None, pinned: bool | None) -> None:
        found: list[str] = []
        cursor = None
        while True:
            page = self.index.list(agent="ada", scope="wiki", hidden=hidden, pinned=pinned, limit=1, cursor=cursor)
            found += [item.path for item in page.items]
            if (cursor := page.next_cursor) is None:
                break
        wanted = [
            each
            for each in sorted(self.model.values(), key=lambda each: each.path)
            if (each.agent, each.scope) == ("ada", "wiki")
            and hidden in (None, each.hidden)
            and pinned in (None, each.pinned)
        ]
        assert found == [each.path for each in sorted(wanted, key=lambda each: each.day, reverse=True)]

    @invariant()
    def holds_the_same(self) -> None:
        if not hasattr(self, "index"):
            return
        for path in PATHS:
            assert self.index.get(path) == self.model.get(path)
        for agent in ("ada", "bob"):
            for scope in ("notes", "wiki"):
                mine = {path: each for path, each in self.model.items() if (each.agent, each.scope) == (agent, scope)}
                assert self.index.stamps(agent, scope) == {path: each.stamp for path, each in mine.items()}
                assert self.index.counts(agent).get(scope, 0) == len(mine)


TestIndexAgainstDictionary = IndexAgainstDictionary.TestCase
TestIndexAgainstDictionary.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
