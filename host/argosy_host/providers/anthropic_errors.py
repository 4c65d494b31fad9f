"""What goes wrong between us and the Messages API, said in the words of the error tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from argosy_core.errors import ArgosyError, DeadlineExceeded, InvalidArgument, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from anthropic import APIError, APIStatusError

KEY_VARIABLE = "ANTHROPIC_API_KEY"

# An error inside a stream comes under the status 200 of its response; only its type says what it is.
_STATUS_OF_TYPE: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_FIRST_ERROR_STATUS = 400
_WORTH_ANOTHER_TRY = (408, 409, 429)
_MAX_REASON = 300
# A shorter "key" is a placeholder, and taking it out of a sentence would only garble the sentence.
_SHORTEST_KEY = 8


def missing_sdk() -> ArgosyError:
    return Unavailable("The Anthropic SDK is not installed", hint="pip install 'argosy[anthropic]'")


def missing_key() -> ArgosyError:
    return Unauthenticated("There is no usable key for the Anthropic API", hint=f"set {KEY_VARIABLE}")


def from_request(error: APIError, key: str) -> ArgosyError:
    """The error of a request that got no reply at all."""
    import anthropic

    if isinstance(error, anthropic.APIStatusError):
        return _from_status(error, key)
    if isinstance(error, anthropic.APITimeoutError):
        return no_answer()
    return Unavailable("The Anthropic API cannot be reached", hint="try again later", status=None, request_id=None)


def no_answer() -> ArgosyError:
    return DeadlineExceeded("The Anthropic API did not answer in time", hint="try again later")


def from_stream(error: Exception, key: str, request_id: str | None, characters: int) -> ArgosyError:
    """The error of a reply that began and did not end. *characters* is how much of its text arrived."""
    import anthropic
    import httpx2

    if isinstance(error, anthropic.APIStatusError):
        return _from_status(error, key, characters)
    if isinstance(error, httpx2.TimeoutException):
        return DeadlineExceeded(
            f"The Anthropic API fell silent after {characters} characters of its reply",
            hint="try again later",
            request_id=request_id,
            received_characters=characters,
        )
    what = "was cut off" if isinstance(error, (httpx2.TransportError, EOFError)) else "could not be read"
    return Unavailable(
        f"The reply of the Anthropic API {what} after {characters} characters; it is not used",
        hint="try again",
        status=None,
        request_id=request_id,
        received_characters=characters,
    )


def _from_status(error: APIStatusError, key: str, characters: int | None = None) -> ArgosyError:
    status = _status(error)
    detail = {"status": status, "request_id": error.request_id}
    if characters is not None:
        detail["received_characters"] = characters
    if status in (401, 403):
        return Unauthenticated(
            "The Anthropic API refused the key", hint=f"set {KEY_VARIABLE} to a key that may use this model", **detail
        )
    if status >= 500 or status in _WORTH_ANOTHER_TRY:
        return Unavailable(
            f"The Anthropic API is not available now (status {status})", hint="try again later", **detail
        )
    hint = "check the name of the model" if status == 404 else None
    return InvalidArgument(f"The Anthropic API refused the request: {_reason(error, key)}", hint=hint, **detail)


def _status(error: APIStatusError) -> int:
    if error.status_code >= _FIRST_ERROR_STATUS:
        return error.status_code
    return _STATUS_OF_TYPE.get(error.type or "", 500)


def _reason(error: APIStatusError, key: str) -> str:
    """The provider's own sentence on one line. A gateway may echo what it was sent, so the key is taken out."""
    said = " ".join(str(error.api_message or f"status {error.status_code}").split())
    safe = said.replace(key, "[key]") if len(key) >= _SHORTEST_KEY else said
    return safe if len(safe) <= _MAX_REASON else safe[:_MAX_REASON] + "…"
