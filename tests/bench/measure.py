"""Timing and the table: every figure is a ratio to a reference measured in the same run, call by call in turn."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

Step = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds of one kind of call, and how many calls they come from."""

    p50: float
    p99: float
    count: int


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: *ours* against *reference*, both as they were measured, and what was asked for."""

    number: str
    what: str
    ours: float
    reference: float
    limit: float
    unit: str
    target: str
    p99: float | None = None
    is_measured: bool = True

    @property
    def holds(self) -> bool:
        """Whether what was asked for is there; what was not measured does not hold."""
        return self.is_measured and self.ours <= self.limit

    @property
    def verdict(self) -> str:
        if not self.is_measured:
            return "NOT MEASURED"
        return "holds" if self.holds else "MISSED"

    @classmethod
    def missing(cls, number: str, what: str, why: str) -> Row:
        """The line of what could not be measured, and *why*."""
        return cls(number, what, 0, 0, 0, "-", f"not measured: {why}", is_measured=False)


async def interleave(steps: Mapping[str, Step], count: int, warm_up: int) -> dict[str, Figures]:
    """Call every step in turn, *count* times after *warm_up* discarded rounds."""
    samples: dict[str, list[float]] = {name: [] for name in steps}
    for index in range(warm_up + count):
        for name, step in steps.items():
            began = time.perf_counter()
            await step(index)
            took = (time.perf_counter() - began) * 1000
            if index >= warm_up:
                samples[name].append(took)
    return {name: figures(values) for name, values in samples.items()}


def figures(values: Sequence[float]) -> Figures:
    """p50 and p99 of *values*."""
    ordered = sorted(values)
    last = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return Figures(statistics.median(ordered), last, len(ordered))


class DurableFiles:
    """The two references of the disk: one durable replace, one append with sync."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(folder, os.O_RDONLY)
        self._log = os.open(folder / "append.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def replace(self, index: int) -> None:
        temporary, final = self._folder / f".t{index}", self._folder / f"note{index}.md"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(fd, b"x" * 600)
        os.fsync(fd)
        os.close(fd)
        os.rename(temporary, final)
        os.fsync(self._fd)

    async def append(self, index: int) -> None:
        os.write(self._log, b"x" * 500 + b"\n")
        os.fsync(self._log)

    def close(self) -> None:
        os.close(self._fd)
        os.close(self._log)


@contextmanager
def compiled_environment():
    """Byte code is written while the block runs: without it every start recompiles and measures the compiler."""
    kept = os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        yield
    finally:
        if kept is not None:
            os.environ["PYTHONDONTWRITEBYTECODE"] = kept


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    print(f"{'':4} {'what':58} {'ours':>9} {'reference':>9} {'ratio':>6} {'limit':>9}  verdict")
    for row in rows:
        ratio = row.ours / row.reference if row.reference else float("nan")
        tail = f"  p99 {row.p99:.2f}" if row.p99 is not None else ""
        print(
            f"{row.number:4} {row.what:58} {row.ours:9.3f} {row.reference:9.3f} {ratio:6.2f} {row.limit:9.3f}"
            f"  {row.verdict} ({row.target}; {row.unit}{tail})"
        )


def save(rows: Sequence[Row], path: Path) -> None:
    """Write the table as JSON."""
    path.write_text(
        json.dumps([{**asdict(row), "holds": row.holds, "verdict": row.verdict} for row in rows], indent=2),
        encoding="utf-8",
    )
