"""Which hosts a call would reach, however they are written, and which of them lie inside the owner's own network."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

from argosy_core.policy.patterns import covers, host_inside
from argosy_core.secrets.hosts import UNREADABLE, hosts_in
from argosy_core.yamltext import is_list, is_map

_NUMBER = re.compile(r"0x[0-9a-f]+|\d+", re.I)
_LOCAL_NAMES = ("localhost", ".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa")
_REBINDING = (".nip.io", ".sslip.io", ".xip.io", ".localtest.me", ".lvh.me")
_METADATA = re.compile(r"169\.254\.\d|metadata\.google|metadata\.azure|100\.100\.100\.200|fd00:ec2", re.I)
_ADDRESS_WORDS = frozenset(
    {
        "host", "hostname", "domain", "server", "endpoint", "origin", "url", "uri", "href", "link", "src", "proxy",
        "webhook", "callback", "redirect", "command", "cmd", "script", "code", "args", "argv", "shell", "exec",
        "request", "address", "target", "location", "base", "feed", "site",
    }
)  # fmt: skip
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_PARTS = re.compile(r"[=&?#;,\s]")
_MAX_DECODED = 4
_MAX_TEXT = 100_000


class HostCheck(NamedTuple):
    """Whether every host may be reached, and if not, which one and why."""

    allowed: bool
    reason: str


def check_hosts_in(
    arguments: Any, allowed: frozenset[str] | None, blocked: frozenset[str], granted: frozenset[str] | None
) -> HostCheck:
    """Whether a call with *arguments* reaches only hosts it may.

    *allowed* None is every public host; an address of this machine or of a private network has to be listed. *granted*
    are the hosts of the run's grant, None for all.
    """
    seen = False
    for host in hosts_of(arguments):
        seen = True
        if host == UNREADABLE:
            return HostCheck(False, "an address that two programs may read differently")
        if covers(blocked, host, host_inside):
            return HostCheck(False, f"{host} is a blocked host")
        named = allowed is not None and covers(allowed, host, host_inside) and "*" not in (allowed or ())
        if not named and is_private(host):
            return HostCheck(False, f"{host} is this machine or a private network")
        if not covers(allowed, host, host_inside):
            return HostCheck(False, f"{host} is not among the allowed hosts")
        if not covers(granted, host, host_inside):
            return HostCheck(False, f"{host} is not among the hosts of the run's grant")
    return HostCheck(True, "every host is allowed" if seen else "no host is named")


def hosts_of(arguments: Any) -> Iterator[str]:
    """Every host in *arguments* that a program would reach, without scheme and port, in lower case.

    A text that is one address, or stands under a name that means one, gives every host in it, also those in its query
    and behind escapes. In prose only addresses that nobody writes about in good faith count: metadata services.
    """
    for key, text in _texts(arguments):
        text = text[:_MAX_TEXT]
        prose = any(char.isspace() for char in text.strip()) and not _names_an_address(key)
        for form in _decoded(text):
            if prose and not _METADATA.search(form):
                continue
            inside = [part for part in _PARTS.split(form) if part.startswith(("//", "\\\\"))]
            for host in hosts_in({key: [form, *inside]}):
                bare = _bare(host)
                if not prose or _METADATA.search(bare):
                    yield bare


def is_private(host: str) -> bool:
    """Whether *host* is this machine, a private or link-local network, or a name made to lead there.

    Numbers are read as `inet_aton` reads them: ``0x7f.1``, ``2130706433`` and ``0177.0.0.1`` are 127.0.0.1.
    """
    name = host.rstrip(".").strip("[]").casefold()
    if name in _LOCAL_NAMES or name.endswith(_LOCAL_NAMES[1:]) or name.endswith(_REBINDING):
        return True
    address = _address(name)
    if address is None:
        return "." not in name and ":" not in name and name != UNREADABLE
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    return not (mapped or address).is_global or address.is_multicast


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        parts = name.split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    numbers = [_number(part) for part in parts]
    last = numbers.pop()
    if any(number > 255 for number in numbers) or last >= 256 ** (4 - len(numbers)):
        return ipaddress.IPv4Address(0)  # no address, and nothing good
    return ipaddress.IPv4Address(sum(n << (24 - 8 * i) for i, n in enumerate(numbers)) + last)


def _number(text: str) -> int:
    if text[:2].lower() == "0x":
        return int(text, 16)
    octal = len(text) > 1 and text[0] == "0" and all(char in "01234567" for char in text)
    return int(text, 8) if octal else int(text)


def _bare(host: str) -> str:
    if host == UNREADABLE:
        return host
    host = host.rpartition("://")[2]
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() and not (":" in name and "]" not in name) else host


def _decoded(text: str) -> Iterator[str]:
    yield text
    for _ in range(_MAX_DECODED):
        plain = unquote(text)
        if plain == text:
            return
        yield plain
        text = plain


def _names_an_address(key: str) -> bool:
    return any(
        word.lower() in _ADDRESS_WORDS or word.lower().removesuffix("s") in _ADDRESS_WORDS
        for word in _WORD.findall(key)
    )


def _texts(arguments: Any) -> Iterator[tuple[str, str]]:
    """Nearest name and text, names of fields among the texts; without recursion, since a caller chooses the depth."""
    pending: list[tuple[str, Any]] = [("", arguments)]
    while pending:
        key, value = pending.pop()
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, int) and not isinstance(value, bool) and _names_an_address(key) and value > 0xFFFF:
            yield key, str(value)  # a whole address as one number
        elif is_map(value):
            for name, item in value.items():
                pending.append((name, item))
                if "." in name or ":" in name:
                    yield "", name
        elif is_list(value):
            pending += [(key, item) for item in value]
