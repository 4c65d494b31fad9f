"""A Markdown page with a head: fields as YAML between two ``---`` lines, then prose.

`parse` reads what a person wrote, however broken; `render` writes a new page; `edit` changes some fields of a page and
leaves every other byte of it alone.
"""

from __future__ import annotations

from argosy_core.frontmatter.edit import REMOVE, edit
from argosy_core.frontmatter.page import Page, key_line, parse, written
from argosy_core.frontmatter.render import render

__all__ = ["REMOVE", "Page", "edit", "key_line", "parse", "render", "written"]
