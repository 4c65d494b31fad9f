"""The reference server: one tool of the same SDK, nothing else."""

from __future__ import annotations

from mcp.server import MCPServer

server = MCPServer("echo", log_level="ERROR")


@server.tool()
async def echo(text: str) -> str:
    """Give the text back."""
    return text


if __name__ == "__main__":
    server.run()
