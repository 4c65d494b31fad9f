"""Skills: finding one by its name, and reading its files. Nothing outside its folder, at most one folder deep."""

from __future__ import annotations

from argosy_core.errors import Corrupted, InvalidArgument, NotFound, TooLarge
from argosy_core.frontmatter import parse
from argosy_core.names import check_path
from argosy_core.views.reader import Reader
from argosy_core.views.skills import SkillView, list_skills
from argosy_core.views.texts import TolerantReader
from argosy_registry.models import SkillText

MAIN = "SKILL.md"
MAX_FILE_BYTES = 256 * 1024


def find_skill(reader: Reader, agent: str | None, name: str) -> SkillView:
    """The skill *name* of *agent*, else of the fleet. Raises NotFound."""
    found = list_skills(TolerantReader(reader), agent)
    # Its folder's name is another name of it, where no skill has taken that.
    by_name = {skill.path.split("/")[-2]: skill for skill in reversed(found)} | {skill.name: skill for skill in found}
    if name in by_name:
        return by_name[name]
    raise NotFound(f"there is no skill {name[:80]!r}", hint="skill_list shows the skills")


def load_file(reader: Reader, skill: SkillView, file: str | None) -> SkillText:
    """One file of *skill*, its procedure when none is named.

    Raises NotFound, InvalidArgument (a name that leads out of the folder or deeper than one), PermissionDenied (a
    link), Corrupted (no text), TooLarge.
    """
    folder = skill.path.rsplit("/", 1)[0]
    wanted = file or MAIN
    if len(check_path(wanted)) > 2:
        raise InvalidArgument("files of a skill lie at most one folder deep", hint="skill_load names the files")
    path = f"{folder}/{wanted}"
    data = reader.read(path)
    if data is None:
        raise NotFound(f"the skill {skill.name} has no file {wanted[:80]!r}", hint="skill_load names the files")
    if len(data) > MAX_FILE_BYTES:
        raise TooLarge(f"{path} has {len(data)} bytes; the limit is {MAX_FILE_BYTES}", hint="split the file")
    text = _text(data, path)
    return SkillText(
        name=skill.name,
        file=wanted,
        text=parse(text).body if wanted == MAIN else text,
        files=_files(TolerantReader(reader), folder),
        path=path,
    )


def _files(reader: Reader, folder: str) -> list[str]:
    found: list[str] = []
    for name in reader.list_dir(folder):
        found += [f"{name}/{inner}" for inner in reader.list_dir(f"{folder}/{name}")] or [name]
    return found


def _text(data: bytes, path: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        raise Corrupted(f"{path}:{line}: not text in UTF-8", hint="save it as UTF-8", path=path, line=line) from exc
