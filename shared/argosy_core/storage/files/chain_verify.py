"""Checking a stream's chains against their own rules, line by line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from argosy_core.canonical import NO_PREVIOUS
from argosy_core.storage.base import Finding, FindingKind, VerifyReport
from argosy_core.storage.files.chain_lines import is_chained, parse_line, recompute
from argosy_core.vault import Vault

_Heads = dict[str, tuple[int, str]]
_Name = Callable[[FindingKind, str], list[Finding]]


def verify_stream(vault: Vault, stream: str) -> VerifyReport:
    """Every entry of *stream*: numbers dense, each hash over its content and its predecessor."""
    heads: _Heads = {}
    findings: list[Finding] = []
    entries = unchained = 0
    files = list(vault.walk(f"{stream}/log", ".jsonl"))
    for info in files:
        data = vault.read_from(info.path, 0)
        lines = data.split(b"\n")
        torn = lines.pop()  # after the last newline: nothing, or what a crash left
        if torn.strip() and (info is not files[-1] or parse_line(torn) is not None):
            lines.append(torn)
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            fields = parse_line(line)
            if fields is None:
                findings.append(Finding("altered", stream, "", 0, info.path, f"line {number} is not JSON"))
            elif not is_chained(fields):
                unchained += 1
            else:
                entries += 1
                findings += _check(fields, stream, heads, f"{info.path}")
    return VerifyReport(entries, unchained, tuple(findings))


def _check(fields: Mapping[str, Any], stream: str, heads: _Heads, file: str) -> list[Finding]:
    writer, seq = str(fields["writer"]), fields["seq"]
    if not isinstance(seq, int):
        return [Finding("altered", stream, writer, 0, file, "the entry's number is not a number")]

    def finding(kind: FindingKind, detail: str) -> list[Finding]:
        return [Finding(kind, stream, writer, seq, file, detail)]

    if fields.get("stream") != stream:
        return finding("moved", f"the entry belongs to the stream {fields.get('stream')!r}")
    last_seq, last_hash = heads.get(writer, (0, ""))
    heads[writer] = (seq, str(fields["hash"]))
    if seq > last_seq + 1:
        return finding("gap", f"entries {last_seq + 1} to {seq - 1} are not there")
    if seq <= last_seq:
        return finding("rewritten", f"entry {seq} stands again after entry {last_seq}")
    return _check_hashes(fields, last_hash, finding)


def _check_hashes(
    fields: Mapping[str, Any], last_hash: str, finding: Callable[[FindingKind, str], list[Finding]]
) -> list[Finding]:
    prev = last_hash or NO_PREVIOUS.hex()
    if fields.get("prev") != prev:
        return finding("rewritten", "the entry does not follow on the one before it")
    try:
        digest, entry_hash = recompute(fields, bytes.fromhex(prev))
    except (ValueError, KeyError, TypeError):
        return finding("altered", "a field of the chain is missing or malformed")
    if digest != fields["digest"]:
        return finding("altered", "the text is not what was hashed")
    if entry_hash != fields["hash"]:
        return finding("altered", "the hash does not fit the entry")
    return []
