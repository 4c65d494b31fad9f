"""Spans of OpenTelemetry are made where somebody takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fleet_fixtures import config_for, make_vault
from mcp import Client
from opentelemetry import trace

from argosy_host.compose import load_server

pytestmark = pytest.mark.anyio


class Provider(trace.TracerProvider):
    """Remembers the names of the spans that were begun."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def get_tracer(self, *_: object, **__: object) -> trace.Tracer:
        return _Tracer(self.names)


class _Tracer(trace.NoOpTracer):
    def __init__(self, names: list[str]) -> None:
        self._names = names

    def start_as_current_span(self, name: str, *arguments: Any, **named: Any) -> Any:
        self._names.append(name)
        return super().start_as_current_span(name, *arguments, **named)


async def test_a_call_has_a_span_once_a_provider_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider()
    config = config_for(make_vault(tmp_path / "vault"))
    async with Client(load_server("journal", config), mode="2026-07-28", cache=None) as client:
        await client.call_tool("journal_days", {})
        assert not provider.names
        monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
        monkeypatch.setattr("mcp.shared._otel._tracer", provider.get_tracer())
        await client.call_tool("journal_days", {})
        await client.call_tool("journal_days", {})
    config.store.close()
    assert provider.names.count("tools/call journal_days") >= 2
