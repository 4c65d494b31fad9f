"""``embeddings:`` in ``fleet.md``: what makes vectors, an endpoint or a model in a folder of this machine.

    embeddings:
      url: http://127.0.0.1:11434/v1/embeddings
      model: nomic-embed-text
      key_env: ARGOSY_EMBEDDINGS_KEY      # optional
      dimensions: 512                     # optional, for models that can shorten
      price_usd: 0.02                     # optional, a million tokens; else as `prices` knows it

or

    embeddings:
      folder: ~/models/potion-base-8M     # model.safetensors and tokenizer.json

A vault travels, and this names where its notes would be sent. So an endpoint on another machine is used only when its
host stands in the environment's ``ARGOSY_EMBEDDINGS_HOSTS`` (hosts between commas), and only over TLS; and the key is
read from a variable whose name begins with ``ARGOSY_EMBEDDINGS_KEY``, when the server starts to use it. No setting, log
line, event or result holds its value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from argosy_core.errors import InvalidArgument
from argosy_core.policy.money import NANO_PER_USD, nano_usd

KEY = "embeddings"
HOSTS_VARIABLE = "ARGOSY_EMBEDDINGS_HOSTS"
_KEY_VARIABLE = re.compile(r"ARGOSY_EMBEDDINGS_KEY[A-Z0-9_]*")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_FIELDS = ("folder", "url", "model", "key_env", "dimensions", "price_usd")
MAX_DIMENSIONS = 8_192


@dataclass(frozen=True, slots=True)
class EmbeddingSettings:
    """An endpoint. *space* names what its vectors may be compared with."""

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    dimensions: int | None = None
    price_usd: Decimal = Decimal(0)  # a million tokens

    def nano_for(self, tokens: int) -> int:
        """What *tokens* cost in billionths of a dollar, a fraction rounded up."""
        return nano_usd(self.price_usd * tokens / 1_000_000)

    @property
    def space(self) -> str:
        return f"{self.model}@{self.dimensions}" if self.dimensions else self.model


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """A model in a folder."""

    folder: Path


def load_settings(
    fleet: Mapping[str, Any], environment: Mapping[str, str]
) -> EmbeddingSettings | FolderSettings | None:
    """The endpoint or the folder that the settings of ``fleet.md`` name; None when they name none.

    Raises InvalidArgument, with what to do, for one that may not be used or is not understood.
    """
    value = fleet.get(KEY)
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"{KEY} in fleet.md is no map", hint="write url: and model:, or folder:, below it")
    fields = cast("Mapping[str, Any]", value)
    unknown = [str(name) for name in fields if name not in _FIELDS]
    if unknown:
        raise InvalidArgument(f"{KEY} does not take {unknown[0][:60]!r}", hint=f"it takes: {', '.join(_FIELDS)}")
    if "folder" in fields:
        return _folder(fields)
    url, model = fields.get("url"), fields.get("model")
    if not isinstance(url, str) or not isinstance(model, str) or not url or not 0 < len(model) <= 200:
        raise InvalidArgument(f"{KEY} needs a url and a model", hint="or take it out of fleet.md")
    _check_host(url, environment)
    key = _key(fields.get("key_env"), environment)
    return EmbeddingSettings(url, model, key, _dimensions(fields), _price(fields.get("price_usd"), url, model))


def _folder(fields: Mapping[str, Any]) -> FolderSettings:
    value = fields["folder"]
    if len(fields) > 1:
        raise InvalidArgument(f"{KEY}: a folder takes nothing beside it", hint="take the other fields out")
    try:
        path = Path(value).expanduser() if isinstance(value, str) and "\0" not in value else None
    except RuntimeError:  # no home of that name
        path = None
    if path is None or not path.is_absolute():
        raise InvalidArgument(f"{KEY}: folder is the whole path of one", hint="begin it with / or ~")
    return FolderSettings(path)


def _check_host(url: str, environment: Mapping[str, str]) -> None:
    try:
        parts = urlsplit(url)
        host, scheme, has_user = parts.hostname or "", parts.scheme, parts.username is not None
    except ValueError as exc:
        raise InvalidArgument(f"{KEY}: the url is none", hint="write http://127.0.0.1:PORT/v1/embeddings") from exc
    if scheme not in ("http", "https") or not host or has_user:
        raise InvalidArgument(f"{KEY}: the url is none", hint="write http://127.0.0.1:PORT/v1/embeddings")
    if host in _LOOPBACK:
        return
    allowed = {name.strip().lower() for name in environment.get(HOSTS_VARIABLE, "").split(",")}
    if host not in allowed:
        raise InvalidArgument(
            f"{KEY}: notes would be sent to {host[:100]}, which nobody on this machine agreed to",
            hint=f"set {HOSTS_VARIABLE}={host[:100]} to agree",
        )
    if scheme != "https":
        raise InvalidArgument(f"{KEY}: {host[:100]} is another machine", hint="use https")


def _key(name: Any, environment: Mapping[str, str]) -> str | None:
    if name is None:
        return None
    if not isinstance(name, str) or not _KEY_VARIABLE.fullmatch(name):
        raise InvalidArgument(
            f"{KEY}: key_env names no variable that may be sent", hint="call it ARGOSY_EMBEDDINGS_KEY, and _NAME after"
        )
    key = environment.get(name)
    if not key:
        raise InvalidArgument(f"{KEY}: {name} is not set", hint=f"set {name} where the server starts")
    return key


def _price(value: Any, url: str, model: str) -> Decimal:
    """The price of a million tokens: what stands there, nothing on this machine, else what the model's list price is;
    a model that nobody knows costs as much as the dearest."""
    if value is not None:
        return Decimal(nano_usd(value, f"{KEY}: price_usd")) / NANO_PER_USD
    if (urlsplit(url).hostname or "") in _LOOPBACK:
        return Decimal(0)
    listed: Mapping[str, float] = json.loads(
        resources.files("argosy_core.embedding").joinpath("prices.json").read_text(encoding="utf-8")
    )["models"]
    return Decimal(str(listed.get(model, max(listed.values()))))


def _dimensions(fields: Mapping[str, Any]) -> int | None:
    value = fields.get("dimensions")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_DIMENSIONS:
        raise InvalidArgument(f"{KEY}: dimensions is 1 to {MAX_DIMENSIONS}")
    return value
