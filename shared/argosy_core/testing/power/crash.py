"""Every disk that a power cut may leave, after each step of a program."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from argosy_core.testing.power.filesystem import PowerFileSystem
from argosy_core.testing.power.images import FileImage, FolderImage
from argosy_core.testing.power.nodes import VOLATILE, FolderNode, Node, nodes_below

DEFAULT_LIMIT = 400


@dataclass(frozen=True, slots=True)
class Crash:
    """One power cut: after *step* changes, with *acknowledged* told to the caller, *disk* is what is left.

    *beside* is what was kept outside the simulation at that moment.
    """

    step: int
    acknowledged: tuple[Any, ...]
    disk: FolderImage
    beside: Any = None


def crashes(
    fs: PowerFileSystem,
    program: Callable[[Callable[[Any], None]], None],
    *,
    limit: int = DEFAULT_LIMIT,
    seed: int = 0,
    beside: Callable[[], Any] = lambda: None,
) -> list[Crash]:
    """Run *program* over *fs* and give each different crash once; it calls what it is given with what it acknowledges.

    Of a moment with more than *limit* disks a sample is taken, the same for the same *seed*; the oldest, the newest and
    all that differ from one of them in one place are in it.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatability is the point
    found: dict[tuple[FolderImage, int, Any], Crash] = {}
    acknowledged: list[Any] = []
    step = 0

    def look() -> None:
        nonlocal step
        step += 1
        kept = beside()
        for disk in disks_of(fs, limit, chance):
            found.setdefault((disk, len(acknowledged), kept), Crash(step, tuple(acknowledged), disk, kept))

    def acknowledge(what: Any) -> None:
        acknowledged.append(what)
        look()

    fs.watch = look
    try:
        program(acknowledge)
    finally:
        fs.watch = lambda: None
    return list(found.values())


def disks_of(fs: PowerFileSystem, limit: int, chance: random.Random) -> Iterator[FolderImage]:
    """The disks that a power cut now may leave."""
    options: dict[int, list[Any]] = {}
    for node in nodes_below(fs.root):
        left: list[Any] = list(node.left())
        options[node.number] = left
    open_ends = {number: len(left) for number, left in options.items() if len(left) > 1}
    for picks in _picks(open_ends, limit, chance):
        image = _image("", fs.root, options, picks)
        assert isinstance(image, FolderImage)
        yield image


def _picks(counts: dict[int, int], limit: int, chance: random.Random) -> Iterator[dict[int, int]]:
    """Which of its options each node takes."""
    if math.prod(counts.values()) <= limit:
        for choice in itertools.product(*(range(count) for count in counts.values())):
            yield dict(zip(counts, choice, strict=True))
        return
    oldest, newest = dict.fromkeys(counts, 0), dict.fromkeys(counts, 1)
    yield from (oldest, newest)
    for base in (oldest, newest):
        for number, count in counts.items():
            yield from ({**base, number: choice} for choice in range(count))
    for _ in range(limit):
        yield {number: chance.randrange(count) for number, count in counts.items()}


def _image(name: str, node: Node, options: dict[int, list[Any]], picks: dict[int, int]) -> FileImage | FolderImage:
    if name in VOLATILE:
        return FolderImage()
    choice = options[node.number][picks.get(node.number, 0)]
    if not isinstance(node, FolderNode):
        return FileImage(choice, node.synced_mtime_ns, node.mode)
    names, mtime_ns = choice
    entries = tuple((child, _image(child, names[child], options, picks)) for child in sorted(names))
    return FolderImage(entries, mtime_ns)
