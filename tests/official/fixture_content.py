"""Blocks of content: a picture of one pixel, a sound of one sample, and texts."""

from __future__ import annotations

import base64
import io
import struct
import wave
import zlib

from mcp_types import AudioContent, CallToolResult, EmbeddedResource, ImageContent, TextContent, TextResourceContents


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _pixel() -> bytes:
    """A PNG of one blue pixel: header, one line of 8-bit RGB after its filter byte, end."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    line = zlib.compress(b"\x00\x12\x35\x5b")
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", line) + _chunk(b"IEND", b"")


def _silence() -> bytes:
    """A WAV of one 16-bit sample at 8 kHz."""
    found = io.BytesIO()
    with wave.open(found, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\x00\x00")
    return found.getvalue()


IMAGE = _pixel()
SOUND = _silence()


def text_block(text: str) -> TextContent:
    return TextContent(type="text", text=text)


def image_block() -> ImageContent:
    return ImageContent(type="image", data=base64.b64encode(IMAGE).decode(), mime_type="image/png")


def audio_block() -> AudioContent:
    return AudioContent(type="audio", data=base64.b64encode(SOUND).decode(), mime_type="audio/wav")


def text_resource(uri: str, mime_type: str, text: str) -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


def said(text: str) -> CallToolResult:
    """A result of one text."""
    return CallToolResult(content=[text_block(text)])
