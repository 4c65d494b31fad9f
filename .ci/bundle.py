"""Makes the bundle that a client installs with one click (``.mcpb``): our wheel, what it needs, and who starts it.

    python .ci/bundle.py dist/argosy.mcpb

It carries no dependencies: the client's own ``uv`` installs the versions of constraints.txt. Equal sources give equal
bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENTRY_POINT = "server.py"
PROGRAM = '''\
"""What the client starts."""

from argosy_host.clients.bundled import main

main()
'''


def main() -> int:
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        members = {
            "manifest.json": json.dumps(manifest(), indent=2) + "\n",
            "pyproject.toml": requirements(wheel.name),
            ENTRY_POINT: PROGRAM,
            "LICENSE": (ROOT / "LICENSE").read_text(encoding="utf-8"),
        }
        write(target, {name: text.encode() for name, text in members.items()} | {wheel.name: wheel.read_bytes()})
    sys.stdout.write(f"{target}: {target.stat().st_size // 1024} KB\n")
    return 0


def build(folder: Path) -> Path:
    words = [sys.executable, "-P", "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    [wheel] = folder.glob("*.whl")
    return wheel


def manifest() -> dict[str, Any]:
    """Its fields are those of version 0.4, the first that knows servers of the type uv."""
    return {
        "manifest_version": "0.4",
        "name": PROJECT["name"],
        "display_name": "Argosy",
        "version": PROJECT["version"],
        "description": PROJECT["description"],
        "author": {"name": PROJECT["authors"][0]["name"]},
        "server": {
            "type": "uv",
            "entry_point": ENTRY_POINT,
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", ENTRY_POINT],
                "env": {"ARGOSY_VAULT": "${user_config.vault}", "ARGOSY_AGENT": "${user_config.agent}"},
            },
        },
        "tools_generated": True,
        "prompts_generated": True,
        "keywords": PROJECT["keywords"],
        "license": PROJECT["license"],
        "compatibility": {"platforms": ["darwin", "linux"], "runtimes": {"python": PROJECT["requires-python"]}},
        "user_config": {
            "vault": {
                "type": "directory",
                "title": "Vault",
                "description": "The folder of Markdown to work on. An empty one becomes a vault with a sample in it.",
                "required": True,
                "default": "${HOME}/vault",
            },
            "agent": {
                "type": "string",
                "title": "Agent",
                "description": "Whose memory, journal and goals; empty for the vault's default agent.",
                "required": False,
                "default": "",
            },
        },
    }


def requirements(wheel: str) -> str:
    """The ``pyproject.toml`` that uv reads: our wheel, and of everything else the version we test with."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = "".join(f"    {json.dumps(line)},\n" for line in lines if line and not line.startswith("#"))
    return (
        f'[project]\nname = "{PROJECT["name"]}-bundle"\nversion = "{PROJECT["version"]}"\n'
        f'requires-python = "{PROJECT["requires-python"]}"\ndependencies = ["{PROJECT["name"]}"]\n\n'
        f"[tool.uv]\npackage = false\nconstraint-dependencies = [\n{pins}]\n\n"
        f'[tool.uv.sources]\n{PROJECT["name"]} = {{ path = "{wheel}" }}\n'
    )


def write(target: Path, members: dict[str, bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, data in members.items():
            member = zipfile.ZipInfo(name)  # its date is 1980-01-01
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            bundle.writestr(member, data)


if __name__ == "__main__":
    sys.exit(main())
