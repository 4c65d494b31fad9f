"""What a test of a whole vault looks at: its files, and what a command line says of it."""

from __future__ import annotations

from pathlib import Path

from argosy_host import cli as host_cli


def run_cli(arguments: list[str]) -> int:
    """The exit code of one command line."""
    try:
        return host_cli.run_cli(arguments)
    except SystemExit as ended:
        assert isinstance(ended.code, int)
        return ended.code


def content(root: Path) -> dict[str, bytes]:
    """Every file that travels."""
    found = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return {path: data for path, data in found.items() if not path.startswith(".argosy/")}
