"""A tool's arguments from the wire to what its function takes, as the SDK reads them and without what it repeats."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata

_LOOKED_AT = 64


class ArgumentReader:
    """Reads the arguments of one tool."""

    def __init__(self, metadata: FuncMetadata) -> None:
        self._metadata = metadata
        self._validate = metadata.arg_model.__pydantic_validator__.validate_python
        fields = metadata.arg_model.model_fields
        self._names = [(name, field.alias or name) for name, field in fields.items()]
        texts = {name for name, field in fields.items() if field.annotation is str}
        self._texts = texts | {field.alias for name, field in fields.items() if name in texts and field.alias}

    def read(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """What the function is called with. Raises pydantic's ValidationError."""
        if any(map(self._may_hold_json, arguments.items())):
            arguments = self._metadata.pre_parse_json(arguments)
        model = self._validate(arguments)
        return {output: getattr(model, name) for name, output in self._names}

    def _may_hold_json(self, argument: tuple[str, Any]) -> bool:
        """Whether the SDK would read a list, an object or null out of a text, as for clients that send such."""
        name, value = argument
        if not isinstance(value, str) or name in self._texts:
            return False
        head = value[:_LOOKED_AT].lstrip()
        return head[0] in "[{n" if head else bool(value)
