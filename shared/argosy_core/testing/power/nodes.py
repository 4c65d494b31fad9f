"""Files and folders that remember which of their changes the disk has."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from argosy_core.testing.power.images import FileImage, FolderImage

BLOCK_BYTES = 4096
SECTOR_BYTES = 512
MAX_SUBSETS = 1 << 10
VOLATILE = frozenset({"locks"})  # folders of lock files: they hold nothing, and are made again
_numbers = itertools.count(2)


class FileNode:
    """One file: what is seen of it, what of it was synced, and the blocks that were not, in the order of writing."""

    def __init__(self, image: FileImage) -> None:
        self.number = next(_numbers)
        self.seen = bytearray(image.data)
        self.synced = image.data
        self.mtime_ns = self.synced_mtime_ns = image.mtime_ns
        self.mode = image.mode
        self._dirty: dict[int, None] = {}
        self._is_resized = False

    def write(self, offset: int, data: bytes) -> None:
        if not data:
            return
        if offset > len(self.seen):
            self.seen.extend(bytes(offset - len(self.seen)))
        self._is_resized |= offset + len(data) > len(self.seen)
        self.seen[offset : offset + len(data)] = data
        first, last = offset // BLOCK_BYTES, (offset + len(data) - 1) // BLOCK_BYTES
        self._dirty.update(dict.fromkeys(range(first, last + 1)))

    def truncate(self, size: int) -> None:
        self._is_resized |= size != len(self.seen)
        if size < len(self.seen):
            del self.seen[size:]
            self._dirty = {block: None for block in self._dirty if block * BLOCK_BYTES < size}
        else:
            self.seen.extend(bytes(size - len(self.seen)))

    def sync(self) -> None:
        self.synced = self._reached()
        self.synced_mtime_ns = self.mtime_ns
        self.forget()

    def forget(self) -> None:
        """What a failed fsync does: the pages count as clean, and the disk never got them."""
        self._dirty.clear()
        self._is_resized = False

    def left(self) -> list[bytes]:
        """Every content that a power cut now may leave, the synced one first and the whole new one second."""
        whole = self._reached()
        found = {self.synced: None, whole: None}
        blocks = list(self._dirty)
        for number, block in enumerate(blocks):
            written = blocks[:number]
            found[self._with(written)] = None
            for end in range(SECTOR_BYTES, BLOCK_BYTES, SECTOR_BYTES):
                found[self._with(written, block, end)] = None
            found[self._with([*written, *blocks[number + 1 :]], size=len(whole))] = None
        found[self._with([], size=len(whole))] = None
        return list(found)

    def _reached(self) -> bytes:
        """What the disk has once all dirty blocks are on it."""
        return self._with(list(self._dirty), size=len(self.seen) if self._is_resized else None)

    def _with(self, blocks: list[int], torn: int | None = None, torn_at: int = 0, size: int | None = None) -> bytes:
        """The synced bytes with *blocks* over them, and the first *torn_at* bytes of the block *torn*."""
        spans = [(block * BLOCK_BYTES, BLOCK_BYTES) for block in blocks]
        spans += [(torn * BLOCK_BYTES, torn_at)] if torn is not None else []
        disk = bytearray(self.synced)
        for start, length in spans:
            data = self.seen[start : start + length]
            disk.extend(bytes(max(0, start + len(data) - len(disk))))
            disk[start : start + len(data)] = data
        if size is not None:
            disk.extend(bytes(max(0, size - len(disk))))
            del disk[size:]
        return bytes(disk)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a folder: the names that it set or (None) took away. It is on the disk as a whole or not at all."""

    names: tuple[tuple[str, Node | None], ...]
    mtime_ns: int


class FolderNode:
    """One folder: its names as they are seen, as they were synced, and the changes between in their order."""

    def __init__(self, image: FolderImage) -> None:
        self.number = next(_numbers)
        self.seen: dict[str, Node] = {name: node_of(entry) for name, entry in image.entries}
        self.mtime_ns = image.mtime_ns
        self.mode = 0o700
        self._synced = (dict(self.seen), image.mtime_ns)
        self._pending: list[Change] = []

    def change(self, mtime_ns: int, *names: tuple[str, Node | None]) -> None:
        self._pending.append(Change(names, mtime_ns))
        self.mtime_ns = mtime_ns
        _apply(self.seen, names)

    def sync(self) -> None:
        self._synced = (dict(self.seen), self.mtime_ns)
        self._pending.clear()

    def forget(self) -> None:
        """A failed fsync loses nothing here: a change of names stays in the journal."""

    def left(self) -> list[tuple[dict[str, Node], int]]:
        """Every set of names, with its time, that a power cut now may leave; the synced first, the newest second."""
        count = len(self._pending)
        every = (1 << count) - 1
        if every < MAX_SUBSETS:
            masks = [0, every, *range(1, every)]
        else:  # prefixes, and all but one
            masks = [0, every, *((1 << n) - 1 for n in range(1, count)), *(every ^ (1 << n) for n in range(count))]
        return [self._with(mask) for mask in dict.fromkeys(masks)]

    def _with(self, mask: int) -> tuple[dict[str, Node], int]:
        names, mtime_ns = dict(self._synced[0]), self._synced[1]
        for number, change in enumerate(self._pending):
            if mask >> number & 1:
                _apply(names, change.names)
                mtime_ns = change.mtime_ns
        return names, mtime_ns


Node = FileNode | FolderNode


def _apply(entries: dict[str, Node], names: tuple[tuple[str, Node | None], ...]) -> None:
    for name, node in names:
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


def node_of(image: FileImage | FolderImage) -> Node:
    """A node whose whole content is synced."""
    return FolderNode(image) if isinstance(image, FolderImage) else FileNode(image)


def nodes_below(folder: FolderNode) -> Iterator[Node]:
    """Every node that some crash may leave below *folder*, and itself, each once."""
    found: dict[int, Node] = {}
    waiting: list[Node] = [folder]
    while waiting:
        node = waiting.pop()
        if node.number not in found:
            found[node.number] = node
            if isinstance(node, FolderNode):
                waiting += [child for names, _ in node.left() for name, child in names.items() if name not in VOLATILE]
    yield from found.values()


__all__ = ["VOLATILE", "FileNode", "FolderNode", "Node", "node_of", "nodes_below"]
