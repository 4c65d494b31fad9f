"""A file system in memory that loses power: what a process sees, what the disk holds, and what a crash may leave.

`PowerFileSystem` stands where the real one stands; `crashes` runs a program over it and gives every disk that a power
cut after any of its steps may leave. A disk is opened again by a `PowerFileSystem` of its own.

What a power cut does (after ALICE, OSDI 2014, and what POSIX leaves open): of the changes of a folder since its last
fsync any subset is there; a file is old, new, or has any prefix of its changed blocks, torn at a sector, with a block
left out, or with its new size and none of its data. What an fsync covered stays.
"""

from __future__ import annotations

from argosy_core.testing.power.crash import Crash, crashes, disks_of
from argosy_core.testing.power.filesystem import PowerFileSystem
from argosy_core.testing.power.images import FileImage, FolderImage, disk_with

__all__ = ["Crash", "FileImage", "FolderImage", "PowerFileSystem", "crashes", "disk_with", "disks_of"]
