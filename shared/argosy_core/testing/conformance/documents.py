"""The promises of `Documents`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from itertools import pairwise
from typing import Any

import anyio
import anyio.lowlevel
from anyio import CancelScope

from argosy_core.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, TooLarge
from argosy_core.storage.base import ABSENT, Documents
from argosy_core.testing.conformance import STREAMS, Opener
from argosy_core.testing.conformance.promises import at_once, promise, refused, same
from argosy_core.vault import MAX_FILE_BYTES

Open = Opener[Documents]
Check = Callable[[Open], Coroutine[Any, Any, None]]
UNICODE_NAMES = ("日本.md", "Привет мир.md", "עברית.md", "हिन्दी.md", "🚢 log.md", "naïve café.md", "a'b;--%_.md")
HOSTILE_NAMES = (
    *("", "/", "/etc/passwd", "..", "../x.md", "a/../../x.md", "a//b.md", "./a.md", "a/.", "a/", "a\\b.md", "C:\\x.md"),
    *("a\0b.md", "a\nb.md", "a\x7fb.md", "a\u202eb.md", "a\u200bb.md", "\ud800.md", "x" * 201, "é" * 101),
    "/".join(["d"] * 40),
)


async def check_reading_gives_what_was_written(open_store: Open) -> None:
    """What `write` returned, `read` and `info` say too: the same bytes, version and stamp, whatever the bytes are."""
    async with open_store() as store:
        for number, data in enumerate((b"", b"hello\n", b"\r\n\0\xff\xfe", "日本\n".encode(), bytes(range(256)) * 999)):
            path = f"harbor/memory/n{number}.md"
            written = await store.write(path, data)
            found, info = await store.read(path), await store.info(path)
            same((found.path, found.data), (path, data), "read gives the bytes that were written")
            same(found, written, "write returns what read gives")
            same(info and (info.path, info.stamp), (path, written.stamp), "info gives path and stamp of the content")


async def check_equal_content_has_an_equal_version(open_store: Open) -> None:
    """A version depends on the content alone: equal content equal version, other content another."""
    async with open_store() as store:
        first, twin = await store.write("harbor/a.md", b"one"), await store.write("reef/b.md", b"one")
        other = await store.write("harbor/a.md", b"two")
        same(twin.version, first.version, "equal content has an equal version")
        promise(other.version not in ("", first.version), "other content has another version", other.version)


async def check_what_is_missing_is_not_found(open_store: Open) -> None:
    """Of a document that is not there, `read` raises NotFound, `info` is None, and nothing is listed."""
    async with open_store() as store:
        for path in ("harbor/none.md", "nowhere/at/all.md", "none.md"):
            with refused(NotFound, what=f"read of {path}, which is not there,"):
                await store.read(path)
            same(await store.info(path), None, "info of nothing is None")
            same(await store.read_from(path, 0), b"", "read_from of nothing is empty")
            same(list(await store.versions(path)), [], "nothing has no versions")
        same(list(await store.list("nowhere", deep=True)), [], "a folder that is not there lists nothing")
        same(list(await store.folders("nowhere")), [], "a folder that is not there has no folders")


async def check_pieces_are_read_from_any_offset(open_store: Open) -> None:
    """`read_from` gives the bytes from an offset, at most as many as asked for, and none past the end."""
    async with open_store() as store:
        await store.write("harbor/a.md", b"0123456789")
        for offset, most, piece in (
            (0, None, b"0123456789"),
            (3, 4, b"3456"),
            (8, 9, b"89"),
            (0, 0, b""),
            (10, 5, b""),
        ):
            same(await store.read_from("harbor/a.md", offset, most), piece, f"{most} bytes from {offset}")
        same(await store.read_from("harbor/a.md", 99), b"", "nothing past the end")


async def check_an_expected_version_decides(open_store: Open) -> None:
    """A write that expects a version happens only while that is the current one, else Conflict names the current."""
    async with open_store() as store:
        first = await store.write("harbor/a.md", b"one", expect=ABSENT)
        second = await store.write("harbor/a.md", b"two", expect=first.version)
        with refused(Conflict, what="a write that expects an older version") as caught:
            await store.write("harbor/a.md", b"three", expect=first.version)
        same(caught[0].detail.get("version"), second.version, "the conflict's detail has the current version")
        same(await store.read("harbor/a.md"), second, "a conflict changes nothing")
        with refused(Conflict, what="a write that expects a version of nothing"):
            await store.write("harbor/b.md", b"x", expect=first.version)
        same(await store.info("harbor/b.md"), None, "a conflict makes nothing")
        await store.write("harbor/a.md", b"four")
        same((await store.read("harbor/a.md")).data, b"four", "a write that expects nothing in particular happens")


async def check_absent_means_absent(open_store: Open) -> None:
    """A write that expects ABSENT happens only where nothing is, else AlreadyExists and nothing changes."""
    async with open_store() as store:
        first = await store.write("harbor/a.md", b"", expect=ABSENT)
        with refused(AlreadyExists, what="a write that expects nothing to be there") as caught:
            await store.write("harbor/a.md", b"two", expect=ABSENT)
        same(caught[0].detail.get("version"), first.version, "the error's detail has the current version")
        same((await store.read("harbor/a.md")).data, b"", "an empty document is there")


async def check_one_of_many_writers_wins(open_store: Open) -> None:
    """Of many writers on several handles that expect the same, exactly one wins, and its content is what stays."""
    async with open_store() as one, open_store() as two:
        start = await one.write("harbor/a.md", b"start")
        for path, expect in (("harbor/a.md", start.version), ("harbor/new.md", ABSENT)):
            won: list[bytes] = []
            lost: list[int] = []

            async def write(
                number: int, path: str = path, expect: str = expect, won: Any = won, lost: Any = lost
            ) -> None:
                try:
                    data = f"writer {number}".encode()
                    await (one, two)[number % 2].write(path, data, expect=expect)
                    won.append(data)
                except (Conflict, AlreadyExists):
                    lost.append(number)

            await at_once([partial(write, n) for n in range(8)])
            same((len(won), len(lost)), (1, 7), "one of eight writers wins")
            same([(await two.read(path)).data], won, "the winner's content stays")


async def check_no_update_is_lost(open_store: Open) -> None:
    """Counting up by read and compare-and-swap from several handles at once loses no step."""
    async with open_store() as one, open_store() as two:
        await one.write("harbor/count.md", b"0")

        async def count(store: Documents) -> None:
            steps = 0
            while steps < 10:
                old = await store.read("harbor/count.md")
                try:
                    await store.write("harbor/count.md", b"%d" % (int(old.data) + 1), expect=old.version)
                    steps += 1
                except Conflict:
                    continue

        await at_once([partial(count, store) for store in (one, two, one, two)])
        same((await one.read("harbor/count.md")).data, b"40", "forty steps are counted")


async def check_readers_see_whole_contents(open_store: Open) -> None:
    """A reader sees one content or another one, never part of one, however many write meanwhile."""
    contents = {bytes([65 + n]) * (1 + n * 70_000) for n in range(4)}
    async with open_store() as one, open_store() as two:
        await one.write("harbor/a.md", min(contents))
        torn: list[int] = []

        async def write(data: bytes) -> None:
            for _ in range(6):
                await one.write("harbor/a.md", data)

        async def read() -> None:
            for _ in range(20):
                data = (await two.read("harbor/a.md")).data
                if data not in contents:
                    torn.append(len(data))

        await at_once([*(partial(write, data) for data in contents), read, read])
        same(torn, [], "no torn content")


async def check_another_handle_sees_a_write_at_once(open_store: Open) -> None:
    """What one handle wrote the other one reads, and what was written is there when all are opened anew."""
    async with open_store() as one, open_store() as two:
        written = await one.write("harbor/a.md", b"one")
        same(await two.read("harbor/a.md"), written, "another handle reads what was written")
        again = await two.write("harbor/a.md", b"two", expect=written.version)
        same(await one.read("harbor/a.md"), again, "and the other way round")
    async with open_store() as store:
        same((await store.read("harbor/a.md")).data, b"two", "a write outlives the handle")


async def check_a_stamp_changes_with_the_content(open_store: Open) -> None:
    """Two contents that follow each other at once, even of one size, have different stamps."""
    async with open_store() as store:
        stamps = [(await store.write("harbor/a.md", b"%03d" % number)).stamp for number in range(50)]
        promise(all(a != b for a, b in pairwise(stamps)), "each write changes the stamp", stamps)
        info = await store.info("harbor/a.md")
        same(info and info.stamp, stamps[-1], "the stamp returned is the stamp there is")


async def check_versions_keep_what_was_there(open_store: Open) -> None:
    """With keep_version the old content stays readable through `versions`, newest first; without, it is not kept."""
    async with open_store() as store:
        await store.write("harbor/n.md", b"zero")
        await store.write("harbor/n.md", b"one")
        for data in (b"two", b"three", b"three", b"four"):
            await store.write("harbor/n.md", data, keep_version=True)
        kept = [(await store.read(info.path)).data for info in await store.versions("harbor/n.md")]
        same(kept, [b"three", b"two", b"one"], "earlier contents are kept, newest first, each once")
        listed = [info.path for info in await store.list("harbor", deep=True)]
        same(listed, ["harbor/n.md"], "versions are no documents of their own")
        with refused(Conflict, what="a conflicting write"):
            await store.write("harbor/n.md", b"five", expect="0" * 64, keep_version=True)
        same(len(await store.versions("harbor/n.md")), 3, "a write that fails keeps no version")


async def check_versions_belong_to_one_document(open_store: Open) -> None:
    """Documents with similar names do not share their versions."""
    paths = ("harbor/n", "harbor/n.md", "harbor/n.txt", "harbor/n.md.md", "harbor/sub/n.md", "n.md")
    async with open_store() as store:
        for path in paths:
            await store.write(path, f"old {path}".encode())
            await store.write(path, b"new", keep_version=True)
        for path in paths:
            kept = [(await store.read(info.path)).data.decode() for info in await store.versions(path)]
            same(kept, [f"old {path}"], f"the versions of {path}")


async def check_removing_takes_away_what_was_expected(open_store: Open) -> None:
    """A removed document is gone for every handle; it is removed only while its version is the expected one."""
    async with open_store() as one, open_store() as two:
        with refused(NotFound, what="removing what is not there"):
            await one.remove("harbor/a.md")
        old = await one.write("harbor/a.md", b"one")
        new = await one.write("harbor/a.md", b"two", keep_version=True)
        with refused(Conflict, what="removing with an older version") as caught:
            await two.remove("harbor/a.md", expect=old.version)
        same(caught[0].detail.get("version"), new.version, "the conflict's detail has the current version")
        await two.remove("harbor/a.md", expect=new.version)
        same(await one.info("harbor/a.md"), None, "a removed document is gone")
        same([info.path for info in await one.list("harbor", deep=True)], [], "it is not listed")
        same(len(await one.versions("harbor/a.md")), 1, "its versions stay")
        await one.write("harbor/a.md", b"three", expect=ABSENT)
        await two.remove("harbor/a.md")


async def check_listing_a_folder(open_store: Open) -> None:
    """`list` gives the documents of a folder, deep also those below, by suffix, in the order of their paths."""
    paths = ("m/b.md", "m/a.md", "m/a-b.md", "m/a/z.md", "m/a/deep/y.md", "m/c.txt", "m/日本.md", "mm/x.md", "top.md")
    async with open_store() as store:
        for path in paths:
            await store.write(path, path.encode())
        for (prefix, suffix, deep), wanted in {
            ("m", "", False): ["m/a-b.md", "m/a.md", "m/b.md", "m/c.txt", "m/日本.md"],
            ("m", ".md", True): ["m/a-b.md", "m/a.md", "m/a/deep/y.md", "m/a/z.md", "m/b.md", "m/日本.md"],
            ("m/a", "", True): ["m/a/deep/y.md", "m/a/z.md"],
            ("", "", False): ["top.md"],
            ("m", ".none", True): [],
        }.items():
            found = await store.list(prefix, suffix, deep=deep)
            same([info.path for info in found], wanted, f"list({prefix!r}, {suffix!r}, deep={deep})")
            for info in found:
                same(info, await store.info(info.path), "a listed document's stamp is its stamp")
        same(list(await store.folders("m")), ["a"], "the folders right in m")
        promise({*STREAMS, "m", "mm"} <= set(await store.folders()), "the folders at the top", await store.folders())
        same(list(await store.folders("m/a")), ["deep"], "the folders right in m/a")


async def check_names_of_every_script(open_store: Open) -> None:
    """Names of any script, with signs and spaces, are kept as they are and stay apart."""
    async with open_store() as store:
        for name in UNICODE_NAMES:
            await store.write(f"harbor/{name[:-3]}/{name}", name.encode(), expect=ABSENT)
        found = {info.path for info in await store.list("harbor", deep=True)}
        same(found, {f"harbor/{name[:-3]}/{name}" for name in UNICODE_NAMES}, "names are listed as they were given")
        for path in found:
            same((await store.read(path)).data.decode(), path.rsplit("/", 1)[1], "each name has its own content")


async def check_long_names_and_deep_folders(open_store: Open) -> None:
    """A name may have 200 bytes and a path 30 parts, and such a document is written and kept like any."""
    async with open_store() as store:
        for path in ("l" * 200, f"{'f' * 200}/{'g' * 200}/{'日' * 65}.md", "/".join([*(["d" * 20] * 29), "x.md"])):
            await store.write(path, b"one", expect=ABSENT)
            same((await store.write(path, b"two", keep_version=True)).data, b"two", "a long path is written")
            same((await store.read(path)).data, b"two", "a long path is read")
            same(len(await store.versions(path)), 1, "a long path has versions")


async def check_hostile_names_are_refused(open_store: Open) -> None:
    """No call takes a name that is absolute, climbs, hides or is too long, and nothing is made of it."""
    async with open_store() as store:
        calls: tuple[Callable[[str], Awaitable[object]], ...] = (
            store.read,
            store.info,
            lambda path: store.read_from(path, 0),
            lambda path: store.write(path, b"x"),
            store.remove,
            lambda path: store.write(path, b"x", expect=ABSENT, keep_version=True),
        )
        for path in HOSTILE_NAMES:
            for call in calls:
                with refused(InvalidArgument, what=f"the name {path[:40]!a}"):
                    await call(path)
            if path:
                for listing in (store.list, store.folders, store.versions):
                    with refused(InvalidArgument, what=f"listing by the name {path[:40]!a}"):
                        await listing(path)
        same(list(await store.list("", deep=True)), [], "nothing was made")


async def check_sizes_have_a_bound(open_store: Open) -> None:
    """Sixteen MiB are written and read back; one byte more raises TooLarge and changes nothing."""
    async with open_store() as store:
        await store.write("harbor/big.md", bytes(MAX_FILE_BYTES))
        same(len((await store.read("harbor/big.md")).data), MAX_FILE_BYTES, "the largest document is read back")
        small = await store.write("harbor/a.md", b"small")
        with refused(TooLarge, what="a document over the bound"):
            await store.write("harbor/a.md", bytes(MAX_FILE_BYTES + 1))
        same(await store.read("harbor/a.md"), small, "a refused write changes nothing")


async def check_a_cancelled_writer_leaves_nothing_half_done(open_store: Open) -> None:
    """A write that is cancelled has happened or has not, and the next one works."""
    async with open_store() as store:
        await store.write("harbor/a.md", b"old" * 9999)
        for rounds in range(6):
            with CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(lambda: store.write("harbor/a.md", b"new" * 9999))
                    for _ in range(rounds):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()
            data = (await store.read("harbor/a.md")).data
            promise(data in (b"old" * 9999, b"new" * 9999), "old or new", data[:20])
            await store.write("harbor/a.md", b"old" * 9999)
        same([i.path for i in await store.list("harbor")], ["harbor/a.md"], "no other document is left")


CHECKS: tuple[Check, ...] = (
    check_reading_gives_what_was_written,
    check_equal_content_has_an_equal_version,
    check_what_is_missing_is_not_found,
    check_pieces_are_read_from_any_offset,
    check_an_expected_version_decides,
    check_absent_means_absent,
    check_one_of_many_writers_wins,
    check_no_update_is_lost,
    check_readers_see_whole_contents,
    check_another_handle_sees_a_write_at_once,
    check_a_stamp_changes_with_the_content,
    check_versions_keep_what_was_there,
    check_versions_belong_to_one_document,
    check_removing_takes_away_what_was_expected,
    check_listing_a_folder,
    check_names_of_every_script,
    check_long_names_and_deep_folders,
    check_hostile_names_are_refused,
    check_sizes_have_a_bound,
    check_a_cancelled_writer_leaves_nothing_half_done,
)
