"""Which hosts the arguments of a call name, read so that no program can see another one in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from argosy_core.policy.scope import is_path_key
from argosy_core.secrets.secret import NAME_PATTERN
from argosy_core.yamltext import is_list, is_map

UNREADABLE = "?"  # a host that two programs could read differently: in nobody's audience
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_TLS_PORTS = {"https": "443", "wss": "443"}
_CLEAR_PORTS = {"http": "80", "ws": "80", "ftp": "21"}
# Browsers and many clients take any number of slashes, of either kind, after the schemes of the web.
_WEB = re.compile(r"\b(https?|wss?|ftp):(?!\s)[/\\]*([^/?#\\\s\"'<>`]*)([\\]?)", re.I)
_OTHER = re.compile(r"\b([a-z][a-z0-9+.-]*)://([^/?#\\\s\"'<>`]*)([\\]?)", re.I)
_BARE = re.compile(r"\s*[/\\]{2}([^/?#\\\s\"'<>`]+)()")
_HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?|\[[0-9a-f:.]+\]")
_LOOKS_LIKE_A_HOST = re.compile(
    r"\s*(?:[\w-]+\.)+[^\W\d_]{2,63}\.?(?::\d+)?(?:/\S*)?\s*|\s*\d+(?:\.\d+){3}(?::\d+)?\s*"
)
_HOST_WORDS = frozenset(
    {"host", "hostname", "domain", "server", "endpoint", "origin", "authority", "url", "uri", "proxy"}
)
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_BREAKS = re.compile(r"[\t\r\n]+")  # which programs of the web take out of an address, wherever they stand
_STARTS_LIKE_AN_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.\t\r\n-]*:", re.I)
_PLACEHOLDER = re.compile(r"\s*\{\{secret:" + NAME_PATTERN + r"\}\}\s*")


def hosts_in(arguments: Any) -> frozenset[str]:
    """Every host in *arguments*, at any depth: ``host``, ``host:port`` where the port is not the scheme's own.

    A host of a connection that is not encrypted, other than to this machine, has its scheme before it:
    ``http://host``. What cannot be read for certain is `UNREADABLE`.
    """
    return frozenset(
        host for key, text in _texts(arguments) for reading in _readings(text) for host in _hosts(key, reading)
    )


def _readings(text: str) -> Iterator[str]:
    if _PLACEHOLDER.fullmatch(text):
        return  # the value decides, and its owner chose it
    yield text
    if _BREAKS.search(text.strip()) and _STARTS_LIKE_AN_ADDRESS.match(text):
        yield _BREAKS.sub("", text)


def _hosts(key: str, text: str) -> Iterator[str]:
    matches = [*_WEB.finditer(text), *_OTHER.finditer(text)]
    for match in matches:
        yield _host(match[1].lower(), match[2], bool(match[3]))
    if (bare := _BARE.match(text)) is not None:
        yield _host("", bare[1], False)
    elif not matches and text.strip() and (_names_a_host(key) or _whole_host(key, text)):
        yield _host("", re.split(r"[/?#]", text.strip(), maxsplit=1)[0], "\\" in text)


def _host(scheme: str, authority: str, ambiguous: bool) -> str:
    # A backslash ends the host for some programs and not for others; so may an escape or a sign beyond ASCII.
    host, port = _split(authority.rpartition("@")[2].lower())
    host = host.rstrip(".,;!)")  # of the sentence around it
    if ambiguous or _HOST.fullmatch(host) is None or (port and not port.isdecimal()):
        return UNREADABLE
    standard = _TLS_PORTS.get(scheme) or _CLEAR_PORTS.get(scheme)
    place = host if not port or port == standard else f"{host}:{port}"
    return f"{scheme}://{place}" if scheme in _CLEAR_PORTS and host not in _LOOPBACK else place


def _split(authority: str) -> tuple[str, str]:
    host, colon, port = authority.rpartition(":")
    return (host, port) if colon and "]" not in port else (authority, "")


def _names_a_host(key: str) -> bool:
    words = [word.lower() for word in _WORD.findall(key)]
    return bool(words) and words[-1] in _HOST_WORDS


def _whole_host(key: str, text: str) -> bool:
    return len(text) < 300 and not is_path_key(key) and _LOOKS_LIKE_A_HOST.fullmatch(text) is not None


def _texts(arguments: Any) -> Iterator[tuple[str, str]]:
    """Nearest key and text of every text, names of fields among them; without recursion: a caller chooses the depth."""
    pending: list[tuple[str, Any]] = [("", arguments)]
    while pending:
        key, value = pending.pop()
        if isinstance(value, str):
            yield key, value
        elif is_map(value):
            for name, item in value.items():
                pending.append((name, item))
                if ":" in name:
                    yield "", name
        elif is_list(value):
            pending += [(key, item) for item in value]
