"""Where an issuer and what belongs to it may be: behind https, or on this machine."""

from __future__ import annotations

from urllib.parse import urlsplit

from argosy_core.errors import InvalidArgument
from argosy_core.serving.http import is_loopback

MAX_URL_CHARS = 2048
_HINT = "write it as the issuer itself does, for example https://login.example.com/realms/home"


def check_issuer(text: str) -> str:
    """*text*, which is the URL of an issuer: no query, no fragment (RFC 8414), and no name or password.

    Raises InvalidArgument, also where it is plain HTTP to another machine.
    """
    parts = _split(text)
    if parts is None or "?" in text or "#" in text:
        raise InvalidArgument(f"not the URL of a token issuer: {text[:100]!r}", hint=_HINT)
    scheme, host = parts
    if scheme == "http" and not is_loopback(host):
        raise InvalidArgument(f"{host[:100]} is another machine, which could be posed as", hint="use https")
    return text


def may_be_asked(url: object, issuer: str) -> bool:
    """Whether *issuer* may have its keys at *url*: another host may hold them, plain HTTP on this machine only if it
    is there itself."""
    parts = _split(url) if isinstance(url, str) else None
    if parts is None:
        return False
    return parts[0] == "https" or (is_loopback(parts[1]) and issuer.startswith("http:"))


def metadata_places(issuer: str) -> tuple[str, ...]:
    """Where the metadata of *issuer* may be, the likeliest first: RFC 8414 section 3.1 and 5, OpenID Connect Discovery
    section 4.1."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    places = [f"{origin}/.well-known/{kind}{path}" for kind in ("oauth-authorization-server", "openid-configuration")]
    return tuple(dict.fromkeys([*places, f"{origin}{path}/.well-known/openid-configuration"]))


def _split(url: str) -> tuple[str, str] | None:
    """Scheme and host of a plain URL; None for anything else."""
    if len(url) > MAX_URL_CHARS or not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    plain = parts.scheme in ("http", "https") and host and "@" not in parts.netloc
    return (parts.scheme, str(host)) if plain else None
