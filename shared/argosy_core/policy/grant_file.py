"""A grant as a document, ``_fleet/grants/<grant>.md``: who holds it, what it allows, until when, and why.

A person may write one, change one, or end one by ``state: revoked``. What is not understood is PolicyInvalid with its
line: a grant counts as it was meant or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal, get_args

from argosy_core.errors import InvalidArgument
from argosy_core.frontmatter import key_line, parse, render
from argosy_core.policy.errors import PolicyInvalid, decode, nearest
from argosy_core.policy.grant_form import FIELDS, grant_as_json, grant_from_json
from argosy_core.policy.grants import Grant

FOLDER = "_fleet/grants"
ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.IGNORECASE)
GrantState = Literal["active", "revoked"]
_HEAD = (
    "type",
    "grant",
    "holder",
    "state",
    "by",
    "issued_at",
    "why",
    "parent",
    "question",
    "revoked_at",
    "revoked_why",
)
_TEXTS = ("by", "issued_at", "why", "parent", "question", "revoked_at", "revoked_why")


@dataclass(frozen=True, slots=True)
class GrantFile:
    """One grant as it stands in its file."""

    id: str
    holder: str
    grant: Grant
    state: GrantState = "active"
    by: str | None = None
    issued_at: str | None = None
    why: str | None = None
    parent: str | None = None
    question: str | None = None
    revoked_at: str | None = None
    revoked_why: str | None = None

    def counts_at(self, now: datetime) -> bool:
        """Whether it is in force."""
        return self.state == "active" and not self.grant.has_ended(now)


def grant_path(grant: str) -> str:
    """Where the grant of this id is kept. Raises InvalidArgument for what is no id."""
    if not ID.fullmatch(grant):
        raise InvalidArgument(f"{grant[:80]!r} is no id of a grant", hint="grant_list shows the ids")
    return f"{FOLDER}/{grant}.md"


def parse_grant(source: str | bytes, where: str) -> GrantFile:
    """The grant in *source*. Raises PolicyInvalid."""
    page = parse(decode(source, where))
    if page.problem is not None:
        raise PolicyInvalid(where, *page.problem, hint="mend the frontmatter")
    if not page.fields:
        raise PolicyInvalid(where, 1, "a grant begins with fields between two --- lines")
    known = (*_HEAD, *FIELDS)
    for key in page.fields:
        if key not in known:
            hint = nearest(key, known) or f"keys read here: {', '.join(known)}"
            raise PolicyInvalid(where, key_line(page, key), f"unknown key {key!r} in a grant", hint=hint)
    return _grant(page.fields, where, partial(key_line, page))


def render_grant(file: GrantFile) -> str:
    """*file* as a document."""
    head: dict[str, Any] = {"type": "grant", "grant": file.id, "holder": file.holder, "state": file.state}
    head |= {name: getattr(file, name) for name in _TEXTS if getattr(file, name) is not None}
    body = f"# Grant to {file.holder}\n\n{file.why or 'No reason was given.'}\n\nTo end it: `state: revoked`.\n"
    return render(head | grant_as_json(file.grant), body)


def _grant(fields: Mapping[str, Any], where: str, line: Callable[[str], int]) -> GrantFile:
    holder, state = fields.get("holder"), fields.get("state", "active")
    if not isinstance(holder, str) or not holder.strip():
        raise PolicyInvalid(where, line("holder"), "holder is no name of an agent")
    if state not in get_args(GrantState):
        raise PolicyInvalid(where, line("state"), "state is active or revoked")
    if fields.get("type", "grant") != "grant":
        raise PolicyInvalid(where, line("type"), "type is grant")
    stem = where.rpartition("/")[2].removesuffix(".md")
    if fields.get("grant", stem) != stem:
        raise PolicyInvalid(where, line("grant"), f"this is the file of the grant {stem}", hint="name one as the other")
    stated = {name: fields[name] for name in FIELDS if name in fields}
    try:
        grant = grant_from_json(stated, holder)
    except InvalidArgument as error:
        key = next((name for name in FIELDS if name in error.message and name in fields), "")
        raise PolicyInvalid(where, line(key) if key else 1, error.message, hint=error.hint) from error
    texts = {name: None if fields.get(name) is None else str(fields[name]) for name in _TEXTS}
    return GrantFile(stem, holder, grant, state, **texts)
