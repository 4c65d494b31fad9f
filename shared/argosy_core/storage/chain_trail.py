"""One pass over a stream's lines: each entry checked against its chain, and what later checks need kept.

Lines that this system wrote hold the hashed bytes as they are, so most are checked without parsing them.
"""

from __future__ import annotations

import json
import re
import struct
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from argosy_core.canonical import NO_PREVIOUS, chain_prefix, new_hasher
from argosy_core.storage.base import Finding, FindingKind
from argosy_core.storage.chain_anchors import ANCHOR, Anchor, anchors_of_event
from argosy_core.storage.chain_lines import event_of, is_chained, is_redacted, parse_line, recompute
from argosy_core.storage.chain_v0 import V0_ENTRY, ChainV0

REDACTION = "redaction"
SHORT_BYTES = 16  # of a hash that are kept to compare with anchors
_HASH_BYTES = 32
_MAX_SEQ = 1 << 63
_COMMA = ord(",")
_START = NO_PREVIOUS.hex()
_HEAD = re.compile(rb'\{"ts":"[ !#-\[\]-~]*"')  # plain ASCII, which needs no decoding
_PLACE = re.compile(rb',"stream":("(?:[^"\\]|\\.)*"),"writer":("(?:[^"\\]|\\.)*"),"seq":')
# What a line that we wrote ends with: names and values by turns, all of known length.
_TAIL = struct.Struct("9s64s12s64s10s64s10s32s2s")
_BETWEEN = (b',"prev":"', b'","digest":"', b'","hash":"', b'","salt":"', b'"}')
_TOLD_ANCHOR, _TOLD_REDACTION, _TOLD_V0 = (f'"kind":"{kind}"'.encode() for kind in (ANCHOR, REDACTION, V0_ENTRY))


@dataclass(slots=True)
class Writer:
    """One writer's chain as far as it was read."""

    name: str
    prefix: bytes
    seq: int = 0
    hash: str = _START
    raw: bytes = NO_PREVIOUS  # the same, not as hex
    file: str = ""
    # Runs of entries without a hole: first number, file of the first, the hashes' first bytes one after the other.
    starts: list[int] = field(default_factory=list[int])
    shorts: list[bytearray] = field(default_factory=list[bytearray])
    # Where each file's entries begin: numbers and files, side by side.
    file_starts: list[int] = field(default_factory=list[int])
    files: list[str] = field(default_factory=list[str])

    def next(self, raw: bytes, entry_hash: str) -> None:
        """Take the next entry in, of which all is right."""
        self.seq += 1
        if not self.starts:
            self.starts.append(self.seq)
            self.shorts.append(bytearray())
        self.shorts[-1] += raw[:SHORT_BYTES]
        self.raw, self.hash = raw, entry_hash

    def jump(self, seq: int, entry_hash: str) -> None:
        """Take in the entry *seq*, of which not all is known to be right."""
        try:
            raw = bytes.fromhex(entry_hash)
        except ValueError:
            raw = b""
        if seq != self.seq + 1:
            self.starts.append(seq)
            self.shorts.append(bytearray())
        self.seq = seq - 1
        self.next(raw[:_HASH_BYTES].ljust(_HASH_BYTES, b"\0"), entry_hash)

    def enter(self, file: str) -> None:
        """The newest entry stands in *file*."""
        self.file = file
        self.file_starts.append(self.seq)
        self.files.append(file)

    def short_of(self, seq: int) -> bytes | None:
        """The first bytes of the entry's hash as it stands; None when there is no such entry."""
        # A later run wins: numbers may begin anew in a log that was written anew.
        for start, shorts in zip(reversed(self.starts), reversed(self.shorts), strict=True):
            at = (seq - start) * SHORT_BYTES
            if 0 <= at < len(shorts):
                return bytes(shorts[at : at + SHORT_BYTES])
        return None

    def file_of(self, seq: int) -> str:
        """The file in which the entry stands, or the last one before it."""
        place = bisect_right(self.file_starts, seq) - 1
        return self.files[max(place, 0)] if self.files else ""


@dataclass(frozen=True, slots=True)
class Hole:
    """Entries *first* to *last* of a writer that are not there; *before* and *after* are the files around them."""

    writer: str
    first: int
    last: int
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class _Redacted:
    writer: str
    seq: int
    file: str
    place: int  # among the entries of the stream


class StreamTrail:
    """What one pass over *stream* found out; feed it the day files with `read`, oldest first, then call `end`."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.entries = 0
        self.notes: list[str] = []
        self.unchained = 0
        self.findings: list[Finding] = []
        self.holes: dict[int, Hole] = {}  # by the place of the finding that stands for it
        self.files: list[str] = []
        self.writers: dict[str, Writer] = {}
        self.anchors: list[Anchor] = []  # told by events of this stream, of whatever stream
        self._redacted: list[_Redacted] = []
        self._redactions: dict[tuple[str, int], int] = {}
        self._by_place: dict[bytes, Writer | None] = {}
        self._moved: dict[tuple[str, str], tuple[int, int]] = {}
        self._v0 = ChainV0()
        self._blake3 = new_hasher()

    def read(self, path: str, data: bytes, *, is_last: bool) -> None:
        """Check one day file."""
        self.files.append(path)
        lines = data.split(b"\n")
        torn = lines.pop()  # after the last newline: nothing, or what a crash left
        if torn.strip() and (not is_last or parse_line(torn) is not None):
            lines.append(torn)
        self._read_lines(path, lines)

    def _read_lines(self, path: str, lines: Iterable[bytes]) -> None:
        for number, line in enumerate(lines, 1):
            writer = self._proven(line)
            if writer is not None:
                self.entries += 1
                if writer.file != path:
                    writer.enter(path)
                if _TOLD_ANCHOR in line or _TOLD_REDACTION in line or _TOLD_V0 in line:
                    self._take_told(parse_line(line) or {}, path)
            elif line.strip():
                self._read_slowly(path, number, line)

    def _read_slowly(self, path: str, number: int, line: bytes) -> None:
        fields = parse_line(line)
        if fields is None:
            self._find("altered", "", 0, path, f"line {number} is not JSON")
        elif not is_chained(fields):
            self.unchained += 1
        else:
            self.entries += 1
            self._check(fields, path)

    def _proven(self, line: bytes) -> Writer | None:
        """The writer when *line* is an entry as we write it that follows on the one before it, its hashes right.

        Then nothing of it was altered; else `_check` finds out what is wrong, if anything is. The hot path of
        verifying: what it leaves undone is done by the slower one.
        """
        head, cut = _HEAD.match(line), len(line) - _TAIL.size
        if head is None or cut < head.end():
            return None
        prev_is, prev, digest_is, digest, hash_is, entry_hash, salt_is, salt, end = _TAIL.unpack_from(line, cut)
        if (prev_is, digest_is, hash_is, salt_is, end) != _BETWEEN:
            return None
        at, colon = line.rfind(b',"stream":"', 0, cut), line.rfind(b":", 0, cut) + 1
        start = head.end()
        writer = self._writer_at(line[at:colon]) if at >= start else None
        if writer is None or line[colon:cut] != b"%d" % (writer.seq + 1) or prev != writer.hash.encode():
            return None
        text = line[start + 1 : at]
        if at > start and (line[start] != _COMMA or not text):
            return None
        try:
            raw_digest = self._blake3(bytes.fromhex(salt.decode()) + b"{" + text + b"}").digest()
        except ValueError:
            return None
        content = writer.prefix + (writer.seq + 1).to_bytes(8, "big") + writer.raw + raw_digest
        raw = self._blake3(content).digest()
        if raw_digest.hex().encode() != digest or (found := raw.hex()).encode() != entry_hash:
            return None
        writer.next(raw, found)
        return writer

    def _writer_at(self, place: bytes) -> Writer | None:
        if place not in self._by_place:
            found = _PLACE.fullmatch(place)
            try:
                names = [json.loads(raw) for raw in found.groups()] if found else []
            except ValueError:
                names = []
            self._by_place[place] = self._writer(names[1]) if names[:1] == [self.stream] else None
        return self._by_place[place]

    def _writer(self, name: str) -> Writer:
        writer = self.writers.get(name)
        if writer is None:
            writer = self.writers[name] = Writer(name, chain_prefix(self.stream, name))
        return writer

    # What is not as it should be, or not written as we do

    def _check(self, fields: Mapping[str, Any], path: str) -> None:
        name, seq = str(fields["writer"]), fields["seq"]
        if type(seq) is not int or not 0 < seq < _MAX_SEQ:
            self._find("altered", name, seq if type(seq) is int else 0, path, "the entry's number is not a number")
        elif fields.get("stream") != self.stream:
            self._find_moved(fields.get("stream"), name, seq, path)
        else:
            self._follow(fields, name, seq, path)

    def _find_moved(self, stream: object, writer: str, seq: int, path: str) -> None:
        """A run of moved entries is one finding, at its first."""
        key = (str(stream), writer)
        place, last = self._moved.get(key, (-1, -1))
        if place >= 0 and seq == last + 1 and self.findings[place].file == path:
            first = self.findings[place]
            detail = f"the entries {first.seq} to {seq} belong to the stream {str(stream)[:80]!r}"
            self.findings[place] = Finding("moved", self.stream, writer, first.seq, path, detail)
        else:
            place = len(self.findings)
            self._find("moved", writer, seq, path, f"the entry belongs to the stream {str(stream)[:80]!r}")
        self._moved[key] = (place, seq)

    def _follow(self, fields: Mapping[str, Any], name: str, seq: int, path: str) -> None:
        writer = self._writer(name)
        last_seq, last_hash, last_file = writer.seq, writer.hash, writer.file
        writer.jump(seq, str(fields["hash"]))
        if path != last_file:
            writer.enter(path)
        if seq > last_seq + 1:
            self.holes[len(self.findings)] = Hole(name, last_seq + 1, seq - 1, last_file, path)
            self._find("gap", name, seq, path, "")
            # What follows a hole cannot be tied to what stood before it; its own text still can be checked.
            last_hash = str(fields.get("prev"))
        elif seq <= last_seq:
            self._find("rewritten", name, seq, path, f"entry {seq} stands again after entry {last_seq}")
            return
        problem = self._hash_problem(fields, last_hash, path)
        if problem is not None:
            self._find(problem[0], name, seq, path, problem[1])
        else:
            self._take_told(fields, path)

    def _hash_problem(self, fields: Mapping[str, Any], prev: str, path: str) -> tuple[FindingKind, str] | None:
        if fields.get("prev") != prev:
            return "rewritten", "the entry does not follow on the one before it"
        if is_redacted(fields):
            return self._redaction_problem(fields, prev, path)
        try:
            digest, entry_hash = recompute(fields, bytes.fromhex(prev))
        except ValueError:
            return "altered", "a field of the chain is missing or malformed"
        if digest != fields.get("digest"):
            return "altered", "the text is not what was hashed"
        if entry_hash != fields["hash"]:
            return "altered", "the hash does not fit the entry"
        return None

    def _redaction_problem(self, fields: Mapping[str, Any], prev: str, path: str) -> tuple[FindingKind, str] | None:
        name, seq, digest = str(fields["writer"]), fields["seq"], str(fields.get("digest"))
        try:
            content = chain_prefix(self.stream, name) + seq.to_bytes(8, "big") + bytes.fromhex(prev + digest)
        except ValueError:
            return "altered", "a field of the chain is missing or malformed"
        if self._blake3(content).hexdigest() != fields["hash"]:
            return "altered", "the hash does not fit the entry"
        self._redacted.append(_Redacted(name, seq, path, self.entries))
        self._v0.forgive()
        return None

    def _take_told(self, fields: Mapping[str, Any], path: str) -> None:
        """What a sound entry says of others."""
        kind, event = fields.get("kind"), event_of(fields)
        name, seq = fields["writer"], fields["seq"]
        if kind == ANCHOR:
            self.anchors += anchors_of_event(event, f"{self.stream}/{name} #{seq}")
        elif kind == REDACTION:
            target, number = event.get("writer_of"), event.get("seq_of")
            if isinstance(target, str) and type(number) is int:
                self._redactions[target, number] = self.entries
        elif kind == V0_ENTRY and (problem := self._v0.check(event)) is not None:
            self._find(problem[0], name, seq, path, problem[1])

    def end(self) -> None:
        """Settle what only the whole stream tells."""
        done = {(each.writer, each.seq) for each in self._redacted}
        self.notes += [
            f"{self.stream}/{writer} #{seq}: a redaction names it and its text is still there; log_doctor finishes it"
            for writer, seq in self._redactions
            if (writer, seq) not in done and writer in self.writers
        ]
        for each in self._redacted:
            if self._redactions.get((each.writer, each.seq), -1) <= each.place:
                self._find("altered", each.writer, each.seq, each.file, "the text is gone and no redaction names it")

    def _find(self, kind: FindingKind, writer: str, seq: int, file: str, detail: str) -> None:
        self.findings.append(Finding(kind, self.stream, writer, seq, file, detail))
