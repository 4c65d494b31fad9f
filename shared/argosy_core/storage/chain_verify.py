"""Checking a stream's chains against their own rules, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from argosy_core.canonical import NO_PREVIOUS
from argosy_core.storage.base import Finding, FindingKind, VerifyReport
from argosy_core.storage.chain_lines import is_chained, parse_line, recompute

_Heads = dict[str, tuple[int, str]]
_START = NO_PREVIOUS.hex()


def verify_stream(stream: str, files: Iterable[tuple[str, bytes]]) -> VerifyReport:
    """Every entry of *stream*, given as its day files (path, bytes) in order, oldest first: numbers dense, each hash
    over its content and its predecessor."""
    heads: _Heads = {}
    findings: list[Finding] = []
    entries = unchained = 0
    for path, data, is_last in _marked(files):
        lines = data.split(b"\n")
        torn = lines.pop()  # after the last newline: nothing, or what a crash left
        if torn.strip() and (not is_last or parse_line(torn) is not None):
            lines.append(torn)
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            fields = parse_line(line)
            if fields is None:
                findings.append(Finding("altered", stream, "", 0, path, f"line {number} is not JSON"))
            elif not is_chained(fields):
                unchained += 1
            else:
                entries += 1
                if (problem := _problem(fields, stream, heads)) is not None:
                    findings.append(_finding(fields, stream, path, *problem))
    return VerifyReport(entries, unchained, tuple(findings))


def _marked(files: Iterable[tuple[str, bytes]]) -> Iterable[tuple[str, bytes, bool]]:
    """Each file, and whether it is the last."""
    before: tuple[str, bytes] | None = None
    for file in files:
        if before is not None:
            yield (*before, False)
        before = file
    if before is not None:
        yield (*before, True)


def _finding(fields: Mapping[str, Any], stream: str, file: str, kind: FindingKind, detail: str) -> Finding:
    seq = fields["seq"] if type(fields["seq"]) is int else 0
    return Finding(kind, stream, str(fields["writer"]), seq, file, detail)


def _problem(fields: Mapping[str, Any], stream: str, heads: _Heads) -> tuple[FindingKind, str] | None:
    writer, seq = str(fields["writer"]), fields["seq"]
    if type(seq) is not int:
        return "altered", "the entry's number is not a number"
    if fields.get("stream") != stream:
        return "moved", f"the entry belongs to the stream {fields.get('stream')!r}"
    last_seq, last_hash = heads.get(writer, (0, _START))
    heads[writer] = (seq, str(fields["hash"]))
    if seq > last_seq + 1:
        return "gap", f"entries {last_seq + 1} to {seq - 1} are not there"
    if seq <= last_seq:
        return "rewritten", f"entry {seq} stands again after entry {last_seq}"
    return _hash_problem(fields, last_hash)


def _hash_problem(fields: Mapping[str, Any], prev: str) -> tuple[FindingKind, str] | None:
    if fields.get("prev") != prev:
        return "rewritten", "the entry does not follow on the one before it"
    try:
        digest, entry_hash = recompute(fields, bytes.fromhex(prev))
    except ValueError:
        return "altered", "a field of the chain is missing or malformed"
    if digest != fields.get("digest"):
        return "altered", "the text is not what was hashed"
    if entry_hash != fields["hash"]:
        return "altered", "the hash does not fit the entry"
    return None
