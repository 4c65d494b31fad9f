"""Links between documents: ``[[name]]``, ``[[folder/name|shown]]`` and ``[[name#heading]]``, as Obsidian writes them;
and the tags it reads in a text.

A link names a file by its stem, whatever the folder and the case: that is what `link_key` compares.
"""

from __future__ import annotations

import re
import unicodedata

MOST_LINKS = 500  # of one document
_LINK = re.compile(r"\[\[([^\[\]|#\n]{1,200})(?:[|#][^\[\]\n]*)?\]\]")
_ATTACHMENT = re.compile(
    r"\.(?:avif|bmp|gif|jpe?g|png|svg|webp|pdf|canvas|base|flac|m4a|mp[34]|og[gv]|wav|webm|mov|mkv)$", re.I
)
_TAG = re.compile(r"(?<![^\s(])#([\w/-]{1,100})")
MOST_TAGS = 100  # of one text
_CODE = re.compile(r"^(`{3,}|~{3,})[^\n]*\n.*?^\1|`[^`\n]*`", re.M | re.S)


def links_in(text: str) -> list[str]:
    """The names of documents that *text* links to or embeds, once each, in order; what stands in code is no link."""
    if "[[" not in text:
        return []
    # In a table the bar is written with a backslash before it.
    found = (name.rstrip("\\").strip() for name in _LINK.findall(_CODE.sub("", text)))
    return list(dict.fromkeys(name for name in found if name and not _ATTACHMENT.search(name)))[:MOST_LINKS]


def tags_in(text: str) -> list[str]:
    """The ``#tags`` of *text*, once each, in order; a number is no tag, and neither is what stands in code."""
    if "#" not in text:
        return []
    found = (tag.strip("/") for tag in _TAG.findall(_CODE.sub("", text)))
    return list(dict.fromkeys(tag for tag in found if tag.strip("0123456789/-_")))[:MOST_TAGS]


def link_key(name: str) -> str:
    """What two names share when a link with one finds a file with the other."""
    last = name.strip().rsplit("/", 1)[-1]
    return unicodedata.normalize("NFC", last.removesuffix(".md")).casefold()
