"""How results and errors leave a server."""

from __future__ import annotations

import json
import logging
from typing import Any

from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, to_json

from argosy_core.errors import ArgosyError, InvalidArgument, TooLarge, Unavailable
from argosy_core.serving.results import Result

ERROR_META = "argosy/error"
MAX_TEXT_CHARS = 100_000
MAX_STRUCTURED_BYTES = 2 * 1024 * 1024
MAX_ERROR_CHARS = 4_000
MAX_DETAIL_BYTES = 16 * 1024

logger = logging.getLogger(__name__)


def shape_result(value: Any) -> CallToolResult:
    """A model as structured content plus its short text. Raises TooLarge above 2 MiB."""
    if isinstance(value, CallToolResult):
        return value
    if not isinstance(value, BaseModel):
        raise TypeError("a tool returns a model")
    structured: dict[str, Any] = value.model_dump(mode="json", by_alias=True)
    try:
        size = len(to_json(structured))
        text = value.render() if isinstance(value, Result) else value.model_dump_json(exclude_none=True)
    except ValueError:  # half of a surrogate pair, from a file of another system: no wire takes it
        text = _encodable(json.dumps(structured, ensure_ascii=False))
        structured, size = json.loads(text), len(text)
    if size > MAX_STRUCTURED_BYTES:
        raise TooLarge("the result is too large", hint="ask for less: lower limit, or narrow the question")
    return CallToolResult(content=[_text(text, MAX_TEXT_CHARS)], structured_content=structured)


def _text(text: str, max_chars: int) -> TextContent:
    if len(text) > max_chars:
        text = text[:max_chars] + "\n… cut here; ask for less, or page with limit and cursor"
    return TextContent(type="text", text=_encodable(text))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def shape_error(error: ArgosyError) -> CallToolResult:
    """A failure as the contract has it: the code first, then what to do, and the same for programs in ``_meta``."""
    details = {"code": error.code, "retryable": error.retryable, "detail": _detail(error)}
    text = f"{error.code}: {_cut(error.message)}" + (f" ({_cut(error.hint)})" if error.hint else "")
    return CallToolResult(
        content=[TextContent(type="text", text=_encodable(text))], is_error=True, _meta={ERROR_META: details}
    )


def _cut(text: str) -> str:
    # Messages name what was asked for, and a caller may ask for a name of a megabyte.
    return text if len(text) <= MAX_ERROR_CHARS // 2 else f"{text[: MAX_ERROR_CHARS // 2]}…"


def _detail(error: ArgosyError) -> dict[str, Any]:
    detail = dict(error.detail)
    try:
        return detail if len(to_json(detail)) <= MAX_DETAIL_BYTES else {}
    except ValueError:
        return {}


def explain_validation(error: ValidationError) -> InvalidArgument:
    """Which argument is wrong and why; what was passed is not repeated, it may be long or private."""
    problems = [_problem(e) for e in error.errors(include_url=False, include_context=False, include_input=False)[:5]]
    return InvalidArgument("; ".join(problems), hint="check the tool's input schema")


def _problem(error: ErrorDetails) -> str:
    where = ".".join(str(part)[:80] for part in error["loc"]) or "arguments"
    # The one message of pydantic that repeats what was passed.
    what = "not one of the kinds" if error["type"] == "union_tag_invalid" else error["msg"]
    return f"{where}: {what}"


def explain_crash(tool: str, error: BaseException | None) -> ArgosyError:
    """What a caller is told of a defect: nothing of its text, which may hold anything."""
    logger.error("tool %s crashed", tool, exc_info=error)
    return Unavailable(f"{tool} failed on something unforeseen", hint="the server's log has more; please report it")
