"""What goes wrong between us and a model's API, said in the words of the error tree.

The SDKs of Anthropic and OpenAI are made by one generator: their errors have the same names and the same transport.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

from argosy_core.errors import ArgosyError, DeadlineExceeded, InvalidArgument, Unauthenticated, Unavailable
from argosy_core.yamltext import is_map

_FIRST_ERROR_STATUS = 400
_WORTH_ANOTHER_TRY = (408, 409, 429)
_MAX_REASON = 300
# A shorter "key" is a placeholder, and taking it out of a sentence would only garble the sentence.
_SHORTEST_KEY = 8


@dataclass(frozen=True, slots=True)
class ApiErrors:
    """The errors of one API. *package* is its SDK and the extra that installs it; *title* names the SDK.

    An error inside a stream comes under the status 200 of its response: *status_of_type* says what its type means.
    """

    api: str
    title: str
    package: str
    key_variable: str
    status_of_type: Mapping[str, int]

    def missing_sdk(self) -> ArgosyError:
        return Unavailable(f"The {self.title} SDK is not installed", hint=f"pip install 'argosy[{self.package}]'")

    def missing_key(self) -> ArgosyError:
        return Unauthenticated(f"There is no usable key for the {self.api}", hint=f"set {self.key_variable}")

    def from_request(self, error: Exception, key: str) -> ArgosyError:
        """The error of a request that got no reply at all."""
        sdk = import_module(self.package)
        if isinstance(error, sdk.APIStatusError):
            return self._from_status(error, key)
        if isinstance(error, sdk.APITimeoutError):
            return self.no_answer()
        return Unavailable(f"The {self.api} cannot be reached", hint="try again later", status=None, request_id=None)

    def no_answer(self) -> ArgosyError:
        return DeadlineExceeded(f"The {self.api} did not answer in time", hint="try again later")

    def from_stream(self, error: Exception, key: str, request_id: str | None, characters: int) -> ArgosyError:
        """The error of a reply that began and did not end. *characters* is how much of its text arrived."""
        import httpx2

        sdk = import_module(self.package)
        if isinstance(error, (httpx2.TimeoutException, sdk.APITimeoutError)):
            return DeadlineExceeded(
                f"The {self.api} fell silent after {characters} characters of its reply",
                hint="try again later",
                request_id=request_id,
                received_characters=characters,
            )
        broken = isinstance(error, sdk.APIConnectionError)
        if isinstance(error, sdk.APIError) and not broken and not isinstance(error, sdk.APIResponseValidationError):
            return self._from_status(error, key, characters, request_id)
        what = "was cut off" if broken or isinstance(error, (httpx2.TransportError, EOFError)) else "could not be read"
        return Unavailable(
            f"The reply of the {self.api} {what} after {characters} characters; it is not used",
            hint="try again",
            status=None,
            request_id=request_id,
            received_characters=characters,
        )

    def _from_status(
        self, error: Any, key: str, characters: int | None = None, request_id: str | None = None
    ) -> ArgosyError:
        status = self._status(error)
        detail: dict[str, Any] = {"status": status, "request_id": getattr(error, "request_id", request_id)}
        if characters is not None:
            detail["received_characters"] = characters
        if status in (401, 403):
            hint = f"set {self.key_variable} to a key that may use this model"
            return Unauthenticated(f"The {self.api} refused the key", hint=hint, **detail)
        if status >= 500 or status in _WORTH_ANOTHER_TRY:
            said = f"The {self.api} is not available now (status {status})"
            return Unavailable(said, hint="try again later", **detail)
        said = f"The {self.api} refused the request: {_reason(error, key)}"
        return InvalidArgument(said, hint="check the name of the model" if status == 404 else None, **detail)

    def _status(self, error: Any) -> int:
        stated = getattr(error, "status_code", 0)
        if stated >= _FIRST_ERROR_STATUS:
            return cast("int", stated)
        code = str(getattr(error, "code", ""))
        known = (self.status_of_type.get(name) for name in (error.type or "", code))
        return next((status for status in known if status), int(code) if code.isdecimal() else 500)


def _reason(error: Any, key: str) -> str:
    """The provider's own sentence on one line. A gateway may echo what it was sent, so the key is taken out."""
    body: Mapping[str, Any] = error.body if is_map(error.body) else {}
    sentence = getattr(error, "api_message", None) or body.get("message") or f"status {error.status_code}"
    said = " ".join(str(sentence).split())
    safe = said.replace(key, "[key]") if len(key) >= _SHORTEST_KEY else said
    return safe if len(safe) <= _MAX_REASON else safe[:_MAX_REASON] + "…"
