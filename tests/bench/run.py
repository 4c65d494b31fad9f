"""``make bench``: the figures of `targets.md` that this version is held to, with their references from the same run.

Options: ``--quick`` (small, to see that it runs), ``--only P1,P9``, ``--json FILE``. With ``PEERS=1`` in the
environment other servers are installed under ``build/peers`` and measured beside ours (``--only PEERS``: these alone).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("servers", "shared", "host")] + [str(Path(__file__).parent)]

import cases  # noqa: E402
import databases  # noqa: E402
import freshness  # noqa: E402
import keeping  # noqa: E402
import logs  # noqa: E402
import postgres_queue  # noqa: E402
import running  # noqa: E402
from measure import Row, compiled_environment, save, show  # noqa: E402

from argosy_host.collector import ease  # noqa: E402

CASES: dict[str, Sequence[Callable[[Path, bool], list[Row]]]] = {
    "P1": [cases.writing],
    "P2": [cases.searching],
    "P3": [keeping.keeping],
    "P4": [logs.appending, databases.sqlite_appending],
    "P5": [logs.asking],
    "P7": [running.queueing, databases.sqlite_queueing, postgres_queue.queueing],
    "P8": [cases.judging],
    "P9": [cases.cold_start, running.relayed_start],
    "P10": [cases.first_request, running.relayed_request],
    "P11": [cases.gateway],
    "P13": [running.all_ready],
    "P14": [cases.definitions],
    "P15": [freshness.indexing],
    "P18": [running.long_life],
}
if os.environ.get("PEERS", "") not in ("", "0"):
    from peer_cases import beside_peers
    from peer_retrieval import finding

    CASES["PEERS"] = [beside_peers]
    CASES["P17"] = [finding]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path, default=ROOT / "bench.json")
    options = parser.parse_args()
    wanted = [name for name in options.only.split(",") if name] or list(CASES)
    ease()  # as every command does: what runs in this process is measured as it runs in ours
    rows: list[Row] = []
    scratch = ROOT / "build"  # on the same disk as the tree, and never part of it
    scratch.mkdir(exist_ok=True)
    with compiled_environment(), tempfile.TemporaryDirectory(prefix="argosy-bench-", dir=scratch) as folder:
        for name in wanted:
            print(f"… {name}", file=sys.stderr)
            for number, case in enumerate(CASES[name]):
                rows += case(Path(folder) / f"{name}-{number}", options.quick)
    show(rows)
    save(rows, options.json)


if __name__ == "__main__":
    main()
