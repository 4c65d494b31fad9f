"""Talking to Redis: ``redis://user:password@host:port/0?prefix=name``, bounded waits, and tries again.

Every key and channel begins with the prefix, ``argosy`` when none is named: vaults that share a Redis have one each.
Every call here can be repeated without harm. Nothing here waits by the clock of the store, which may be a test's.
"""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from argosy_core.errors import ArgosyError, InvalidArgument, Unavailable

T = TypeVar("T")
SCHEMES = ("redis", "rediss", "unix")
INSTALL = 'pip install "argosy[redis]"'
DEFAULT_PREFIX = "argosy"
SOCKET_SECONDS = 5.0
CONNECTIONS = 16
HEALTH_SECONDS = 10
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 1.6)  # seconds between tries
_PREFIX = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HINT = "write it as redis://user:password@host:6379/0?prefix=name"


@cache
def driver() -> Any:
    """The module ``redis``. Raises Unavailable when it is not installed."""
    try:
        return importlib.import_module("redis")
    except ImportError as exc:
        raise Unavailable("the Redis driver is not installed", hint=INSTALL) from exc


class RedisConnection:
    """A pool of connections, for many threads. Raises InvalidArgument for what is no URL of a Redis."""

    def __init__(self, url: str) -> None:
        address, self.prefix = _parsed(url)
        redis = driver()
        try:
            pool = redis.BlockingConnectionPool.from_url(
                address,
                max_connections=CONNECTIONS,
                timeout=SOCKET_SECONDS,
                socket_timeout=SOCKET_SECONDS,
                socket_connect_timeout=SOCKET_SECONDS,
                health_check_interval=HEALTH_SECONDS,
                retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),  # a lost connection must be heard of
            )
            pool.make_connection()  # reaches nobody, and knows all options
        except (ValueError, TypeError):
            raise InvalidArgument("not a URL of a Redis", hint=_HINT) from None
        self.client = redis.Redis(connection_pool=pool)
        self._closed = threading.Event()

    def run(self, work: Callable[[Any], T]) -> T:
        """What *work* makes of the client; it may run again. Blocks. Raises Unavailable."""
        for pause in (*PAUSES, None):
            try:
                return work(self.client)
            except (driver().RedisError, OSError) as failure:
                if pause is None or not may_pass(failure) or self._closed.wait(pause):
                    raise trouble(failure) from failure
        raise AssertionError  # the last try returned or raised

    def close(self) -> None:
        """Close all connections. Idempotent."""
        self._closed.set()
        self.client.close()
        self.client.connection_pool.disconnect()


def may_pass(failure: Exception) -> bool:
    """Whether another try can help."""
    errors = driver().exceptions
    if isinstance(failure, errors.AuthenticationError | errors.AuthorizationError):
        return False
    return isinstance(failure, errors.ConnectionError | errors.TimeoutError | errors.ReadOnlyError | OSError)


def trouble(failure: Exception) -> ArgosyError:
    """*failure* in the words of the error tree."""
    errors = driver().exceptions
    if isinstance(failure, errors.AuthenticationError | errors.NoPermissionError):
        return Unavailable("Redis refused the login", hint="look at the user and the password in its URL")
    if isinstance(failure, errors.OutOfMemoryError):
        return Unavailable("Redis has no room left", hint="raise its maxmemory, or free some")
    if isinstance(failure, errors.ResponseError):
        return Unavailable(
            "Redis does not take the call", hint="look whether it is a Redis 6 or newer that takes writes"
        )
    return Unavailable("Redis does not answer", hint="look whether it runs and its URL is right")


def _parsed(url: str) -> tuple[str, str]:
    """The URL for the driver, and the prefix. Raises InvalidArgument without a part of what may be a password."""
    try:
        parts = urlsplit(url)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise InvalidArgument("not a URL of a Redis", hint=_HINT) from None
    if parts.scheme not in SCHEMES or parts.fragment:
        raise InvalidArgument("not a URL of a Redis", hint=_HINT)
    prefixes = [value for name, value in options if name == "prefix"] or [DEFAULT_PREFIX]
    if len(prefixes) > 1 or not _PREFIX.fullmatch(prefixes[0]):
        raise InvalidArgument("a prefix has letters, digits, '.', '-' and '_', at most 64", hint=_HINT)
    rest = urlencode([(name, value) for name, value in options if name != "prefix"])
    return f"{url.partition('?')[0]}?{rest}", prefixes[0]
