"""Schemas kept between starts: never other ones than those made anew, whatever became of the files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module, invalidate_caches
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy_core.fleet import packaged
from argosy_core.serving import schema_cache
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.serving.schema_cache import FILES_KEPT, LOADED, Loaded, fill_schemas
from argosy_core.serving.toolbox import ToolEntry
from argosy_core.types import Role
from argosy_host.compose import load_server

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "argosy_lantern"
MODELS = """
from argosy_core.serving.results import Result

class Lamp(Result):
    oil: int
"""
TOOLS = """
from __future__ import annotations
from argosy_core.serving.toolbox import ToolBox
from argosy_lantern.models import Lamp

def build_tools(litres: int = 3) -> ToolBox:
    box = ToolBox()

    @box.tool("Fill a lamp")
    async def lamp_fill(litres: int = litres) -> Lamp:
        "Fill it."
        return Lamp(oil=litres)

    return box
"""


class Lantern:
    """A small server's package, loaded anew as by another process, and the one cache all of them share."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        self.write("__init__", "")
        self.write("models", MODELS)
        self.write("tools", TOOLS)

    def write(self, module: str, source: str) -> None:
        (self.root / PACKAGE).mkdir(exist_ok=True)
        (self.root / PACKAGE / f"{module}.py").write_text(source)

    def load(self, litres: int = 3) -> ToolEntry:
        for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
            del sys.modules[name]
        invalidate_caches()
        entry: ToolEntry = import_module(f"{PACKAGE}.tools").build_tools(litres).entries["lamp_fill"]
        return entry

    def start(self, litres: int = 3, at: float = float("inf")) -> ToolEntry:
        entry = self.load(litres)
        fill_schemas("lantern", [entry], Loaded(at, Path("/")))
        return entry

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*")) if self.folder.is_dir() else []


@pytest.fixture
def lantern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lantern]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # it is told apart by whole seconds
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Lantern(tmp_path, tmp_path / "cache/argosy")
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]


def shown(entry: ToolEntry) -> str:
    """The definition as a client gets it, the order of its keys included."""
    return json.dumps(entry.definition.model_dump(mode="json", by_alias=True))


def built(entry: ToolEntry) -> bool:
    return "tool" in vars(entry)


def test_the_second_start_builds_nothing_and_shows_the_same(lantern: Lantern) -> None:
    first, second = lantern.start(), lantern.start()

    assert shown(second) == shown(first)
    assert built(first) and not built(second)
    assert [path.stat().st_mode & 0o777 for path in [lantern.folder, *lantern.files]] == [0o700, 0o600]


@pytest.mark.parametrize("name", [server.name for server in packaged().servers])
def test_every_server_shows_kept_what_it_shows_when_made_anew(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "vault").mkdir()
    store = open_store(tmp_path / "vault")
    config = ServerConfig(store, role=Role.OPERATOR, profile="full")
    fresh, writer, reader = (list(load_server(name, config).entries.values()) for _ in range(3))
    fill_schemas(name, writer, Loaded(float("inf"), LOADED.root))
    fill_schemas(name, reader, Loaded(float("inf"), LOADED.root))
    store.close()

    assert not any(map(built, reader)) and all(map(built, writer))
    assert list(map(shown, reader)) == list(map(shown, writer)) == list(map(shown, fresh))
    for entry in reader:  # what is shown is what is called
        assert set(entry.schemas.input["properties"]) == set(entry.tool.parameters["properties"])


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("models", MODELS.replace("oil: int", "oil: str")),
        ("models", MODELS + "    wick: int = 1\n"),
        ("tools", TOOLS.replace("litres: int = litres", "litres: float = litres")),
    ],
)
def test_an_edited_source_is_shown_as_it_is_now(lantern: Lantern, module: str, source: str) -> None:
    before = shown(lantern.start())
    lantern.write(module, source)
    fresh = shown(lantern.load())

    assert fresh != before
    assert shown(lantern.start()) == fresh == shown(lantern.start())


def test_an_edit_that_keeps_size_and_time_is_seen(lantern: Lantern) -> None:
    path = lantern.root / PACKAGE / "models.py"
    os.utime(path, ns=(10**18, 10**18))
    before = shown(lantern.start())
    lantern.write("models", MODELS.replace("oil", "wax"))
    os.utime(path, ns=(10**18, 10**18))

    assert shown(lantern.start()) == shown(lantern.load()) != before


def test_a_default_that_the_server_was_made_with_is_its_own(lantern: Lantern) -> None:
    assert '"default": 3' in shown(lantern.start(3))
    assert '"default": 4' in shown(lantern.start(4))
    assert '"default": 3' in shown(lantern.start(3))


def test_a_source_edited_after_it_was_loaded_leaves_the_running_process_as_it_is(lantern: Lantern) -> None:
    old = lantern.load()
    lantern.write("models", MODELS.replace("oil: int", "oil: str"))
    edited = (lantern.root / PACKAGE / "models.py").stat().st_mtime
    fill_schemas("lantern", [old], Loaded(edited - 1, Path("/")))

    assert lantern.files == []
    assert '"oil": {"type": "integer"}' in shown(old)
    assert '"oil": {"type": "string"}' in shown(lantern.start())


def test_what_lies_elsewhere_is_not_kept(lantern: Lantern) -> None:
    entry = lantern.load()
    fill_schemas("lantern", [entry], Loaded(float("inf"), LOADED.root / "shared"))

    assert lantern.files == [] and shown(entry)


def test_files_of_other_sources_are_few(lantern: Lantern) -> None:
    for litres in range(FILES_KEPT + 3):
        lantern.start(litres)

    assert len(lantern.files) == FILES_KEPT


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_file_changes_nothing(lantern: Lantern, place: float, change: int, cut: bool) -> None:
    fresh = shown(lantern.start())
    [path] = lantern.files
    data = bytearray(path.read_bytes())
    at = int(place * len(data))
    data[at] ^= change
    path.write_bytes(data[:at] if cut else data)

    entry = lantern.start()
    assert shown(entry) == fresh and built(entry)
    assert not built(lantern.start())  # mended


def sealed(path: Path, body: str) -> None:
    """A file whose key and digest are right, with something else in it."""
    key = path.read_text().split(" ", 1)[0]
    path.write_text(f"{schema_cache._head(key, body.encode())}\n{body}")  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    "body",
    [
        "null", "[]", "{}", '{"lamp_fill": null}', '{"lamp_fill": []}', '{"lamp_fill": [1, 2]}', '{"lamp_fill": [{}]}',
        '{"lamp_fill": [{}, 7]}', '{"lamp_empty": [{}, null]}', '{"lamp_fill": [[], null]}', "[" * 100_000, "NaN", "{",
    ],
)  # fmt: skip
def test_a_file_of_another_form_changes_nothing(lantern: Lantern, body: str) -> None:
    fresh = shown(lantern.start())
    [path] = lantern.files
    sealed(path, body)

    assert shown(lantern.start()) == fresh


def open_to_others(folder: Path, file: Path) -> None:
    folder.chmod(0o770)


def file_open_to_others(folder: Path, file: Path) -> None:
    file.chmod(0o622)


def linked(folder: Path, file: Path) -> None:
    file.rename(folder.parent / "elsewhere")
    file.symlink_to(folder.parent / "elsewhere")


def pipe(folder: Path, file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


@pytest.mark.parametrize("spoil", [open_to_others, file_open_to_others, linked, pipe])
def test_a_file_that_others_may_have_written_is_not_read(lantern: Lantern, spoil: Callable[[Path, Path], None]) -> None:
    fresh = shown(lantern.start())
    [path] = lantern.files
    sealed(path, '{"lamp_fill": [{"properties": {"evil": {}}}, null]}')
    assert "evil" in shown(lantern.start())  # else the test shows nothing
    spoil(lantern.folder, path)

    assert shown(lantern.start()) == fresh


def a_file(place: Path) -> str:
    place.write_text("")
    return str(place)


def a_loop(place: Path) -> str:
    place.symlink_to(place)
    return str(place)


@pytest.mark.parametrize(
    "home", [a_file, a_loop, lambda _: "/proc/1/fdinfo", lambda _: "/dev/null/x", lambda p: f"{p}\n"]
)
def test_a_folder_that_cannot_be_written_costs_only_time(
    lantern: Lantern, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Callable[[Path], str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", home(tmp_path / "no"))

    assert shown(lantern.start()) == shown(lantern.start()) == shown(lantern.load())


def test_without_a_home_nothing_is_kept(lantern: Lantern, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(self: Path) -> Path:
        raise RuntimeError("no home")

    monkeypatch.setenv("XDG_CACHE_HOME", "relative/means/unset")
    monkeypatch.setattr(Path, "expanduser", nowhere)

    assert shown(lantern.start()) and lantern.files == []


WRITERS = 2
ROUNDS = 60
PROGRAM = f"""
import sys
from pathlib import Path
from argosy_core.serving.schema_cache import Loaded, cache_folder, fill_schemas
from {PACKAGE}.tools import build_tools
fresh = build_tools().entries["lamp_fill"].make_schemas()
for _ in range({ROUNDS}):
    for path in cache_folder().glob("*.json"):
        path.unlink(missing_ok=True)
    for _ in range(2):
        entry = build_tools().entries["lamp_fill"]
        fill_schemas("lantern", [entry], Loaded(float("inf"), Path("/")))
        assert entry.schemas == fresh
"""


def test_processes_that_write_and_drop_it_at_once_all_get_the_right_schemas(lantern: Lantern) -> None:
    roots = [str(ROOT / "shared"), str(lantern.root)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(roots), "PYTHONDONTWRITEBYTECODE": "1"}
    lantern.folder.parent.mkdir()
    children = [subprocess.Popen([sys.executable, "-c", PROGRAM], env=env) for _ in range(WRITERS)]

    assert [child.wait(50) for child in children] == [0] * WRITERS
    assert len([path for path in lantern.files if path.suffix == ".json"]) <= 1
    assert not [path for path in lantern.files if path.suffix == ".tmp"]
