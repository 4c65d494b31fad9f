"""``fleet.md``: the fleet's settings. Optional; every key has a default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from argosy_core.frontmatter import key_line, parse
from argosy_core.policy.errors import PolicyInvalid, Problem, decode
from argosy_core.views.reader import Reader

FILE = "fleet.md"
Approval = Literal["file", "attended"]


@dataclass(frozen=True, slots=True)
class FleetView:
    """*settings* is the whole frontmatter; *approval* ``attended`` asks for a person who is there."""

    default_agent: str | None
    settings: dict[str, Any]
    problems: tuple[Problem, ...] = ()
    approval: Approval = "file"


def load_fleet(reader: Reader) -> FleetView:
    """The fleet's settings; defaults when there is no ``fleet.md``.

    While the file cannot be understood *approval* is ``attended``, the stricter of the two.
    """
    data = reader.read(FILE)
    if data is None:
        return FleetView(None, {})
    try:
        page = parse(decode(data, FILE))
    except PolicyInvalid as exc:
        return FleetView(None, {}, (Problem(exc.line, exc.reason, "error", exc.hint or "", FILE),), "attended")
    problems: list[Problem] = []
    if page.problem:
        problems.append(Problem(*page.problem, "error", "mend the frontmatter", FILE))
    default, approval = page.fields.get("default_agent"), page.fields.get("approval", "file")
    if default is not None and not isinstance(default, str):
        problems.append(Problem(key_line(page, "default_agent"), "default_agent is no name", "error", "", FILE))
    if approval not in ("file", "attended"):
        fix = "write attended, or take the line out"
        problems.append(Problem(key_line(page, "approval"), f"approval {approval!r} is unknown", "error", fix, FILE))
    attended = approval != "file" or page.degraded is not None
    name = default if isinstance(default, str) else None
    return FleetView(name, dict(page.fields), tuple(problems), "attended" if attended else "file")
