"""Who is let in over HTTP: those with a bearer token that is known (RFC 6750), each server here for itself.

Where tokens come from an issuer, a server says so in its metadata (RFC 9728), and every refusal says where that is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import TokenVerifier
from mcp.server.auth.routes import build_resource_metadata_url
from pydantic import AnyHttpUrl
from starlette.authentication import AuthenticationError
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from argosy_core.errors import Unavailable
from argosy_core.serving.identity import OPERATOR_SCOPE

RETRY_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Admission:
    """*verifier_of*, given the URL of a server here, says who knows the bearer tokens for it; it may raise Unavailable.

    *issuer* is where those without a token get one; None where only the owner of the vault gives them.
    """

    verifier_of: Callable[[str], TokenVerifier]
    issuer: str | None = None


class _Bearers(BearerAuthBackend):
    async def authenticate(self, conn: HTTPConnection) -> Any:
        if len(conn.headers.getlist("authorization")) > 1:
            return None  # which of them counts is not for us to guess
        try:
            return await super().authenticate(conn)
        except Unavailable as error:
            raise AuthenticationError(error.message) from error


def guarded(app: ASGIApp, url: str, admission: Admission) -> ASGIApp:
    """*app*, which is the server at *url*, for those who are let in."""
    where = build_resource_metadata_url(AnyHttpUrl(url)) if admission.issuer else None
    inside = AuthContextMiddleware(RequireAuthMiddleware(app, [], where))
    return AuthenticationMiddleware(inside, _Bearers(admission.verifier_of(url)), on_error=_away)


def metadata_routes(url: str, admission: Admission) -> list[Route]:
    """Where the server at *url* says who issues tokens for it; nowhere when nobody does."""
    if admission.issuer is None:
        return []
    # Not the SDK's route: it lets every web page read it, and writes an issuer's name otherwise than the issuer.
    facts = {
        "resource": url,
        "authorization_servers": [admission.issuer],
        "scopes_supported": [OPERATOR_SCOPE],
        "bearer_methods_supported": ["header"],
    }

    async def metadata(_: Any) -> JSONResponse:
        return JSONResponse(facts)

    path = build_resource_metadata_url(AnyHttpUrl(url)).path
    assert path
    return [Route(path, metadata)]


def _away(_: HTTPConnection, error: AuthenticationError) -> JSONResponse:
    body = {"error": "temporarily_unavailable", "error_description": str(error)}
    return JSONResponse(body, status_code=503, headers={"Retry-After": str(RETRY_SECONDS)})
