"""What must not be there twice: a function's body, a test's name in one file, a file's name on any file system."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("servers", "shared", "host")
TESTED = (*SHIPPED, "tests", "vault-template", "docs")
BODY_LINES = 4  # a shorter body is an idiom
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> int:
    problems = [*copied_functions(sources(SHIPPED)), *shadowed_tests(sources(("tests",))), *clashing_names()]
    sys.stdout.write("\n".join(problems or ["nothing is there twice"]) + "\n")
    return 1 if problems else 0


def sources(folders: Iterable[str]) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def copied_functions(paths: Iterable[Path]) -> Iterator[str]:
    """Functions with equal bodies in different places: the rule they hold belongs into one."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, _Function) and (key := body_of(node)):
                places[key].append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    for found in places.values():
        if len(found) > 1:
            yield f"one function, written {len(found)} times: {', '.join(found)}"


def body_of(function: _Function) -> str | None:
    """What a function does, without its name and docstring; None when that is an idiom or less."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body or (body[-1].end_lineno or 0) - body[0].lineno + 1 < BODY_LINES:
        return None
    return "\n".join(map(ast.dump, body))


def shadowed_tests(paths: Iterable[Path]) -> Iterator[str]:
    """Tests of one name in one scope: the first one never runs."""
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for scope in [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]:
            seen: set[str] = set()
            for node in scope.body:
                if isinstance(node, _Function) and node.name.startswith("test_"):
                    if node.name in seen:
                        yield f"{path.relative_to(ROOT)}:{node.lineno} a second {node.name}"
                    seen.add(node.name)


def clashing_names() -> Iterator[str]:
    """Files whose names differ by case alone: on macOS and Windows one of them is lost."""
    seen: dict[str, Path] = {}
    for path in sorted(path for folder in TESTED for path in (ROOT / folder).rglob("*")):
        other = seen.setdefault(str(path).casefold(), path)
        if other != path:
            yield f"{path.relative_to(ROOT)} and {other.relative_to(ROOT)} differ by case alone"


if __name__ == "__main__":
    sys.exit(main())
