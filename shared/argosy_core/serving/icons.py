"""A small picture for each server, drawn in place: a client shows it without fetching anything."""

from __future__ import annotations

import base64

from mcp_types import Icon

_STROKES = {
    "desk": "M12 18h24v14H24l-6 6v-6h-6z",
    "goal": "M24 10a14 14 0 1 0 .1 0M24 18a6 6 0 1 0 .1 0",
    "host": "M10 30l4 8h20l4-8zM24 30V9l12 17H24",
    "journal": "M14 10h20v28H14zM19 18h10M19 24h10M19 30h6",
    "judge": "M24 10v28M14 38h20M12 16h24M12 16l-4 10h8zM36 16l-4 10h8z",
    "log": "M12 14h4M20 14h16M12 24h4M20 24h16M12 34h4M20 34h10",
    "memory": "M24 12c-8 0-12 5-12 11 0 8 6 13 12 13s12-5 12-13c0-6-4-11-12-11zM24 12v24",
    "queue": "M10 16h8v16h-8zM20 16h8v16h-8zM30 16h8v16h-8z",
    "registry": "M12 12h10v10H12zM26 12h10v10H26zM12 26h10v10H12zM26 26h10v10H26z",
    "scheduler": "M24 10a14 14 0 1 0 .1 0M24 16v8l6 4",
    "secrets": "M18 22v-4a6 6 0 0 1 12 0v4M14 22h20v14H14zM24 27v4",
}
_OTHER = "M14 14h20v20H14z"
_PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48"><rect width="48" height="48" rx="10" fill="#12355b"/>'
    '<path d="{stroke}" fill="none" stroke="#f4e9cd" stroke-width="2.5" stroke-linecap="round" '
    'stroke-linejoin="round"/></svg>'
)


def icon_of(server: str) -> Icon:
    """The icon of *server*; one that is not of the fleet gets a plain one."""
    picture = _PICTURE.format(stroke=_STROKES.get(server, _OTHER)).encode()
    source = f"data:image/svg+xml;base64,{base64.b64encode(picture).decode()}"
    return Icon(src=source, mime_type="image/svg+xml", sizes=["any"])
