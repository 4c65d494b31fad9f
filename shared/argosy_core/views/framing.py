"""Text that somebody else wrote, framed so that a model can tell where it begins and ends.

A frame is ``<tag name="…">`` … ``</tag>``. Whatever in the text could pass for a frame's tag is taken apart.
"""

from __future__ import annotations

import re

TAGS = ("note", "journal", "goal", "index", "skill", "case")
# What a model may read as one of our tags: full-width and small brackets, other slashes, invisible characters inside.
_INVISIBLE = r"[\s\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]*"
_TAG = re.compile(
    rf"[<\uff1c\ufe64\u2039\u3008\u27e8](?={_INVISIBLE}[/\uff0f\u2215\u2044\u29f8\\]?{_INVISIBLE}(?:{'|'.join(TAGS)})\b)",
    re.IGNORECASE,
)


def frame(tag: str, text: str, **attributes: str | None) -> str:
    """*text* within ``<tag>``, with the attributes that are not empty."""
    assert tag in TAGS
    shown = "".join(f' {name}="{_attribute(value)}"' for name, value in attributes.items() if value)
    return f"<{tag}{shown}>\n{neutral(text).strip()}\n</{tag}>"


def neutral(text: str) -> str:
    """*text* without anything that passes for the tag of a frame."""
    return _TAG.sub("&lt;", text)


def clip(text: str, max_chars: int, path: str) -> str:
    """At most *max_chars* of *text*, and in words how much of the file at *path* is missing."""
    if len(text) <= max_chars:
        return text
    return f"{text[:max_chars].rstrip()}\n… [{len(text) - max_chars} more characters in {path}]"


def _attribute(value: str) -> str:
    visible = "".join(c if c.isprintable() else " " for c in value)
    return visible.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
