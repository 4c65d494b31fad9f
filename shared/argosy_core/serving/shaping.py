"""How results and errors leave a server."""

from __future__ import annotations

import logging
from typing import Any

from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel, ValidationError

from argosy_core.errors import ArgosyError, InvalidArgument, TooLarge, Unavailable
from argosy_core.serving.results import Result

ERROR_META = "argosy/error"
MAX_TEXT_CHARS = 100_000
MAX_STRUCTURED_BYTES = 2 * 1024 * 1024

logger = logging.getLogger(__name__)


def shape_result(value: Any) -> CallToolResult:
    """A model as structured content plus its short text. Raises TooLarge above 2 MiB."""
    if isinstance(value, CallToolResult):
        return value
    assert isinstance(value, BaseModel), "a tool returns a model"
    text = value.render() if isinstance(value, Result) else value.model_dump_json(exclude_none=True)
    if len(text) > MAX_TEXT_CHARS:
        text = text[:MAX_TEXT_CHARS] + "\n… cut here; ask for less, or page with limit and cursor"
        if len(value.model_dump_json()) > MAX_STRUCTURED_BYTES:
            raise TooLarge("the result is too large", hint="ask for less: lower limit, or narrow the question")
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=value.model_dump(mode="json", by_alias=True)
    )


def shape_error(error: ArgosyError) -> CallToolResult:
    """A failure as the contract has it: the code first, then what to do, and the same for programs in ``_meta``."""
    details = {"code": error.code, "retryable": error.retryable, "detail": dict(error.detail)}
    return CallToolResult(
        content=[TextContent(type="text", text=f"{error.code}: {error}")], is_error=True, _meta={ERROR_META: details}
    )


def explain_validation(error: ValidationError) -> InvalidArgument:
    """Which argument is wrong and why; what was passed is not repeated, it may be long or private."""
    problems = [f"{'.'.join(str(part) for part in e['loc']) or 'arguments'}: {e['msg']}" for e in error.errors()[:5]]
    return InvalidArgument("; ".join(problems), hint="check the tool's input schema")


def explain_crash(tool: str, error: BaseException | None) -> ArgosyError:
    """What a caller is told of a defect: nothing of its text, which may hold anything."""
    logger.error("tool %s crashed", tool, exc_info=error)
    return Unavailable(f"{tool} failed on something unforeseen", hint="the server's log has more; please report it")
