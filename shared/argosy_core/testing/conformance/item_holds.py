"""The promises of `Items` about what keeps an item from running, and about files that a person or a crash changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

from argosy_core.errors import Corrupted
from argosy_core.storage.base import Items
from argosy_core.testing.conformance import FolderOpener
from argosy_core.testing.conformance.items import QUEUE, Check, Open, claim_one, new, order_of
from argosy_core.testing.conformance.promises import promise, refused, same
from argosy_core.testing.fakes import FakeClock

OpenFolder = FolderOpener[Items]
FileCheck = Callable[[OpenFolder], Coroutine[Any, Any, None]]


async def check_a_conflict_key_is_held_by_one(open_items: Open) -> None:
    """Of items that share a conflict key one is worked on at a time; others go past, and then it is the next one's."""
    async with open_items(FakeClock()) as items:
        for number, keys in enumerate((["a"], ["a"], ["b"], [], ["a", "b"], ["a"])):
            await items.enqueue(new({"n": number}, conflict_keys=keys))
        first = {i.payload["n"]: i for i in await items.claim(QUEUE, "worker", 30, 10)}
        same(sorted(first), [0, 2, 3], "one of a, one of b, and the free one")
        same(await order_of(items), [], "the others wait")
        await items.complete(first[2].id, _token(first[2]), {})
        same(await order_of(items), [], "4 waits for a too")
        await items.fail(first[0].id, _token(first[0]), "no", 60)
        second, token = await claim_one(items)
        same(second.payload["n"], 1, "a is the next one's")
        await items.complete(second.id, token, {})
        third, token = await claim_one(items, count=5)
        same(third.payload["n"], 4, "then of both")
        await items.cancel((await items.list(QUEUE, "failed"))[0][0].id)
        await items.release(third.id, token, "hold")
        same(await order_of(items), [5], "then the last")


async def check_a_parked_item_follows_its_priority(open_items: Open) -> None:
    """Of those that wait for a conflict key the next one is by priority, then age, whatever it was when they came."""
    async with open_items(FakeClock()) as items:
        made = [(await items.enqueue(new({"n": n}, conflict_keys=["a"])))[0] for n in range(5)]
        order: list[int] = []
        item, token = await claim_one(items, count=3)
        await items.prioritize(made[4].id, 5)
        await items.cancel(made[2].id)
        while True:
            order.append(item.payload["n"])
            await items.complete(item.id, token, {})
            found = await items.claim(QUEUE, "worker", 30, 3)
            if not found:
                break
            same(len(found), 1, "one at a time")
            item, token = found[0], _token(found[0])
        same(order, [0, 4, 1, 3], "by priority, then age")


async def check_a_free_key_is_not_kept_by_who_waits_for_another(open_items: Open) -> None:
    """An item that must wait for one of its conflict keys leaves the others to those behind it."""
    async with open_items(FakeClock()) as items:
        for number, keys in enumerate((["a"], ["b"], ["a", "b"], ["a"], ["b"])):
            await items.enqueue(new({"n": number}, conflict_keys=keys))
        first = {i.payload["n"]: i for i in await items.claim(QUEUE, "worker", 30, 10)}
        same(sorted(first), [0, 1], "one of each")
        await items.complete(first[0].id, _token(first[0]), {})
        same(await order_of(items), [3], "2 waits for b, and a goes on")


async def check_an_ended_lease_frees_its_conflict_key(open_items: Open) -> None:
    """A worker that died holds its conflict key no longer than its lease."""
    clock = FakeClock()
    async with open_items(clock) as items:
        await items.enqueue(new({"n": 0}, conflict_keys=["a"], max_attempts=1))
        await items.enqueue(new({"n": 1}, conflict_keys=["a"]))
        await claim_one(items, 10)
        same(await order_of(items), [], "it is held")
        clock.advance(10)
        same(await order_of(items), [1], "and then it is not")


async def check_needs_are_met_by_the_profile(open_items: Open) -> None:
    """A worker gets what its profile meets: labels, at least so much of a number, one of a list; the rest goes past."""
    async with open_items(FakeClock()) as items:
        for number, needs in enumerate(({"gpu": True}, {"memory": 16}, {"region": "eu"}, {"tools": ["a", "b"]}, {})):
            await items.enqueue(new({"n": number}, needs=needs, priority=-number))
        same(await order_of(items), [4], "no profile meets no needs")
        small = {"gpu": False, "memory": 8, "region": "us", "tools": ["a"]}
        same(await order_of(items, profile=small), [], "too little")
        same(await order_of(items, profile={"memory": 16.5, "gpu": 1}), [1], "at least so much; 1 is not true")
        rest = {"gpu": True, "region": ["us", "eu"], "tools": ["c", "b", "a"]}
        same(await order_of(items, profile=rest), [0, 2, 3], "in their order")


async def check_every_reason_is_explained(open_items: Open) -> None:
    """`explain` names every reason why an item is not running, and none when the next claim takes it."""
    clock = FakeClock()
    async with open_items(clock) as items:
        await items.enqueue(new({"n": 0}, conflict_keys=["a"], priority=9))
        await items.enqueue(new({"n": 1}))
        made, _ = await items.enqueue(
            new({"n": 2}, conflict_keys=["a"], needs={"gpu": True}, not_before=clock.now() + timedelta(hours=1))
        )
        busy, token = await claim_one(items)
        _, holds = await items.explain(made.id)
        same([hold.kind for hold in holds], ["time", "conflict_key", "needs", "behind"], "all four")
        promise(busy.id in holds[1].detail and "gpu" in holds[2].detail, "by name", holds)
        same([hold.kind for hold in (await items.explain(busy.id))[1]], ["leased"], "somebody works on it")
        await items.release(busy.id, token, "waits for a person")
        item, holds = await items.explain(busy.id)
        same((item.state, [(hold.kind, hold.detail) for hold in holds]), ("held", [("held", "waits for a person")]), "")
        clock.advance(3600)
        await claim_one(items)
        same([hold.kind for hold in (await items.explain(made.id))[1]], ["needs"], "one is left")
        await items.cancel(made.id, "enough")
        same([hold.kind for hold in (await items.explain(made.id))[1]], ["ended"], "it ended")
        free, _ = await items.enqueue(new({"n": 3}))
        same(list((await items.explain(free.id))[1]), [], "nothing holds it")


CHECKS: tuple[Check, ...] = (
    check_a_conflict_key_is_held_by_one,
    check_a_parked_item_follows_its_priority,
    check_a_free_key_is_not_kept_by_who_waits_for_another,
    check_an_ended_lease_frees_its_conflict_key,
    check_needs_are_met_by_the_profile,
    check_every_reason_is_explained,
)


def _token(item: Any) -> str:
    token: str = item.lease.token
    return token


# Over files


def folder_of(root: Path, state: str) -> Path:
    return root / "_fleet/queue" / QUEUE / state


async def check_a_person_can_read_an_item(open_items: OpenFolder) -> None:
    """An item is one indented JSON file in the folder of its state."""
    async with open_items(FakeClock()) as items:
        made, _ = await items.enqueue(new({"to": "rhea"}, key="k"))
        [file] = folder_of(open_items.root, "ready").iterdir()
        same((file.name, json.loads(file.read_text())["payload"]), (f"{made.id}.json", {"to": "rhea"}), "its file")
        promise('\n  "key": "k"' in file.read_text(), "indented", file.read_text())
        item, token = await claim_one(items)
        same([p.name for p in folder_of(open_items.root, "leased").iterdir()], [file.name], "it moves")
        await items.complete(item.id, token, {})
        left = sorted(str(p.relative_to(folder_of(open_items.root, ""))) for p in _files(open_items.root))
        same(left, [f"done/{file.name}"], "and is in one place")


async def check_the_projection_may_be_deleted(open_items: OpenFolder) -> None:
    """Deleting `.argosy` at any time, also in the middle, loses no item, no key, no order and no lease."""
    clock = FakeClock()
    async with open_items(clock) as items:
        for number in range(6):
            await items.enqueue(new({"n": number}, key=f"k{number}", conflict_keys=["a"] if number < 2 else []))
        item, token = await claim_one(items)
        shutil.rmtree(open_items.root / ".argosy")
        same(await order_of(items, 2), [2, 3], "1 waits for the conflict key")
        shutil.rmtree(open_items.root / ".argosy")
        same((await items.enqueue(new({"n": 4}, key="k4")))[1], True, "keys are known")
        shutil.rmtree(open_items.root / ".argosy")
        same((await items.complete(item.id, token, {})).state, "done", "the lease holds")
    shutil.rmtree(open_items.root / ".argosy")
    async with open_items(clock) as items:
        same(await order_of(items), [1, 4, 5], "the rest in order")


async def check_a_damaged_projection_is_made_anew(open_items: OpenFolder) -> None:
    """A projection that is garbage, or of another program, is made again from the files."""
    for garbage in (b"", b"not a database" * 999, b"SQLite format 3\0" + b"\xff" * 5000):
        async with open_items(FakeClock()) as items:
            await items.enqueue(new({"n": 1}))
        for file in (open_items.root / ".argosy").glob("items.sqlite*"):
            file.unlink()
        (open_items.root / ".argosy/items.sqlite").write_bytes(garbage)
        async with open_items(FakeClock()) as items:
            item, token = await claim_one(items)
            await items.complete(item.id, token, {})


async def check_a_broken_file_stops_nobody(open_items: OpenFolder) -> None:
    """A file that is no item is named with its line and left as it is; the others go on, and mended it runs."""
    async with open_items(FakeClock()) as items:
        await items.enqueue(new({"n": 1}))
        broken = folder_of(open_items.root, "ready") / "mine.json"
        broken.write_text('{"payload":\n  {"n": 9},,\n}')
        same(await order_of(items), [1], "the others go on")
        [problem] = await items.problems()
        same((problem.id, problem.state), ("mine", "ready"), "it is named")
        promise("ready/mine.json line 2" in (problem.problem or ""), "with its line", problem.problem)
        with refused(Corrupted, what="reading it"):
            await items.get("mine")
        same([item.problem for item in (await items.list(QUEUE))[0] if item.id == "mine"], [problem.problem], "listed")
        same(broken.read_text(), '{"payload":\n  {"n": 9},,\n}', "left as it is")
        await items.drain(QUEUE, "closing")
        promise(broken.exists(), "left by draining too")
        draft = broken.with_suffix(".new")
        draft.write_text('{"payload": {"n": 9}}')
        draft.replace(broken)
        same(await order_of(items), [9], "mended it runs")


async def check_a_person_can_move_files(open_items: OpenFolder) -> None:
    """The folder says the state: a file that a person writes, moves, edits or removes is taken as it is."""
    async with open_items(FakeClock()) as items:
        made = [(await items.enqueue(new({"n": n})))[0] for n in range(4)]
        ready, held = folder_of(open_items.root, "ready"), folder_of(open_items.root, "held")
        held.mkdir()
        (ready / f"{made[0].id}.json").rename(held / f"{made[0].id}.json")
        (ready / f"{made[1].id}.json").unlink()
        fields = json.loads((ready / f"{made[3].id}.json").read_text())
        (ready / "draft").write_text(json.dumps(fields | {"priority": 7}))
        (ready / "draft").replace(ready / f"{made[3].id}.json")
        (ready / "by_hand.json").write_text('{"payload": {"n": 10}}')
        same((await items.get(made[0].id)).state, "held", "moved")
        same(await order_of(items), [3, 2, 10], "edited first, the removed one gone, the new one last")
        (held / f"{made[0].id}.json").rename(ready / f"{made[0].id}.json")
        same(await order_of(items), [0], "moved back")


async def check_half_done_moves_are_healed(open_items: OpenFolder) -> None:
    """Of two files of one item, which a crash leaves, the newer is the item; the other goes, and drafts are swept."""
    clock = FakeClock()
    async with open_items(clock) as items:
        made, _ = await items.enqueue(new({"n": 1}, key="k"))
        before = (folder_of(open_items.root, "ready") / f"{made.id}.json").read_bytes()
        item, token = await claim_one(items)
    (folder_of(open_items.root, "ready") / f"{made.id}.json").write_bytes(before)
    (folder_of(open_items.root, "ready") / f".{made.id}.abc.tmp").write_bytes(b"{")
    async with open_items(clock) as items:
        same(await order_of(items), [], "it is leased, and nothing else")
        same(await items.get(item.id), item, "as it was claimed")
        same(
            [p.name for p in folder_of(open_items.root, "ready").iterdir()], [], "the older file and the draft are gone"
        )
        same((await items.complete(item.id, token, {})).state, "done", "and it can be done")


def _files(root: Path) -> list[Path]:
    return [path for path in (root / "_fleet/queue").rglob("*") if path.is_file()]


FILE_CHECKS: tuple[FileCheck, ...] = (
    check_a_person_can_read_an_item,
    check_the_projection_may_be_deleted,
    check_a_damaged_projection_is_made_anew,
    check_a_broken_file_stops_nobody,
    check_a_person_can_move_files,
    check_half_done_moves_are_healed,
)
