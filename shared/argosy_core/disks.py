"""What kind of disk a folder lies on."""

from __future__ import annotations

import os
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
# Their names and stamps are in the kernel's memory once they were looked at. Not among them: what asks another machine
# or another process (nfs, cifs, 9p, fuse), and what cannot be told by its device number (btrfs).
LOCAL_KINDS = frozenset({"ext2", "ext3", "ext4", "xfs", "f2fs", "jfs", "tmpfs", "overlay", "zfs", "bcachefs"})


def is_local(folder: Path, mounts: Path = MOUNTS) -> bool:
    """Whether *folder* lies on a disk of this machine's; False where nothing says so. Blocks.

    *mounts* is in the form of ``/proc/[pid]/mountinfo``, proc(5).
    """
    try:
        device = os.stat(folder).st_dev
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    wanted = f"{os.major(device)}:{os.minor(device)}"
    kinds = {_kind(line) for line in lines if line.split()[2:3] == [wanted]}
    return bool(kinds) and kinds <= LOCAL_KINDS


def _kind(line: str) -> str:
    return (line.partition(" - ")[2].split() or [""])[0]
