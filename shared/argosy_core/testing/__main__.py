"""Proves a store: ``python -m argosy_core.testing OPENER [SUITE…]``.

OPENER is ``module:function`` or ``path/to/file.py:function``, a function of a folder's path that opens a handle on the
store of that folder, made when it is new; a keyword argument ``clock`` of it is the check's clock. Every check gets a
folder of its own. Exit codes: 0 every promise is kept, 1 one is not, 2 wrong usage.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio

from argosy_core.errors import ArgosyError
from argosy_core.testing.conformance.promises import Broken
from argosy_core.testing.conformance.suites import SUITES
from argosy_core.testing.openers import FolderStores, opener

KEPT, BROKEN, WRONG = 0, 1, 2


def main(arguments: Sequence[str]) -> int:
    """Run the suites that are named, all without a name; *arguments* are the command line's words. The exit code."""
    if {"-h", "--help"} & set(arguments):
        _say((__doc__ or "").strip())
        return KEPT
    name, *suites = arguments or [""]
    unknown = set(suites) - set(SUITES)
    if not name or name.startswith("-") or unknown:
        _say(f"usage: python -m argosy_core.testing OPENER [{' | '.join(SUITES)} …]")
        return WRONG
    try:
        opener(name)
    except ArgosyError as error:
        _say(str(error))
        return WRONG
    return BROKEN if sum([_prove(name, suite) for suite in suites or SUITES]) else KEPT


def _prove(name: str, suite: str) -> int:
    """How many promises of *suite* are broken."""
    broken = 0
    for check in SUITES[suite]:
        problem = _problem(name, suite, check)
        if problem:
            broken += 1
            _say(f"{suite}: {' '.join((check.__doc__ or '').split())}\n    {check.__name__}: {problem}")
    _say(f"{suite}: {len(SUITES[suite]) - broken} of {len(SUITES[suite])} promises are kept")
    return broken


def _problem(name: str, suite: str, check: Any) -> str:
    """What is wrong; "" when the promise is kept."""
    with tempfile.TemporaryDirectory(prefix="argosy-kit-", ignore_cleanup_errors=True) as folder:
        try:
            anyio.run(check, FolderStores(name, Path(folder), suite))
        except Broken as error:
            return str(error)
        except Exception:  # a store may fail in any way; that is what is to be told
            return traceback.format_exc().strip()
    return ""


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    logging.getLogger().addHandler(logging.NullHandler())  # what a store logs of troubles made on purpose
    sys.exit(main(sys.argv[1:]))
