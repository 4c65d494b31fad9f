"""Links between documents: ``[[name]]``, ``[[folder/name|shown]]`` and ``[[name#heading]]``, as Obsidian writes them.

A link names a file by its stem, whatever the folder and the case: that is what `link_key` compares.
"""

from __future__ import annotations

import re
import unicodedata

MOST_LINKS = 500  # of one document
_LINK = re.compile(r"\[\[([^\[\]|#\n]{1,200})(?:[|#][^\[\]\n]*)?\]\]")
_CODE = re.compile(r"^(`{3,}|~{3,})[^\n]*\n.*?^\1|`[^`\n]*`", re.M | re.S)


def links_in(text: str) -> list[str]:
    """The names that *text* links to, once each, in order; what stands in code is no link."""
    if "[[" not in text:
        return []
    found = (name.strip() for name in _LINK.findall(_CODE.sub("", text)))
    return list(dict.fromkeys(name for name in found if name))[:MOST_LINKS]


def link_key(name: str) -> str:
    """What two names share when a link with one finds a file with the other."""
    last = name.strip().rsplit("/", 1)[-1]
    return unicodedata.normalize("NFC", last.removesuffix(".md")).casefold()
