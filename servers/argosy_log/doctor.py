"""What is wrong with the files of the log, and what to do about it."""

from __future__ import annotations

from anyio import to_thread

from argosy_core.serving.results import DoctorFinding
from argosy_core.storage.base import Finding, Store, VerifyReport
from argosy_core.vault import STATE_FOLDER
from argosy_log.day_files import is_day_file
from argosy_log.events import read_line

MAX_PER_FILE = 20
RECOVERED = f"{STATE_FOLDER}/recovered"
_FIXES = {
    "altered": "put the line back from git or a backup; if it was changed on purpose, keep the finding as its record",
    "truncated": "put the missing lines back from git or a backup",
    "missing": "put the file back from git or a backup",
    "moved": "put the line back into the stream that it names",
    "rewritten": "compare the file with git or a backup from this entry on, and put the older content back",
    "gap": "put the missing entries back from git or a backup",
}


async def examine(store: Store) -> list[DoctorFinding]:
    """Every line that cannot be read, every place where a chain does not hold, and what lies outside the chains."""
    found: list[DoctorFinding] = []
    streams = await store.chain.streams()
    for stream in streams:
        found += await _files_of(store, stream)
        found += _chain_of(stream, await store.chain.verify(stream))
    for stream in await store.documents.folders():
        if stream not in streams and stream[0] not in "._":
            # An agent without a log: nothing, unless anchors know that it had one.
            found += map(_broken, (await store.chain.verify(stream)).findings)
    for info in await store.documents.list(RECOVERED):
        message = "a line that a crash tore was set aside here; its append was never acknowledged"
        found.append(_warning("log_recovered", message, info.path, None, "read it, then delete it"))
    return found or [DoctorFinding(status="pass", check="log_lines", message="there is no log yet")]


async def _files_of(store: Store, stream: str) -> list[DoctorFinding]:
    found: list[DoctorFinding] = []
    files = await store.documents.list(f"{stream}/log", ".jsonl", deep=True)
    newest = max((info.path for info in files if is_day_file(stream, info.path)), default=None)
    for info in files:
        if not is_day_file(stream, info.path):
            message = "not a day's file of the log: queries do not read it"
            fix = "name it <stream>/log/YYYY-MM/YYYY-MM-DD.jsonl, or move it out of log/"
            found.append(_warning("log_files", message, info.path, None, fix))
        data = await store.documents.read_from(info.path, 0)
        found += await to_thread.run_sync(_lines_of, stream, info.path, data, info.path == newest)
    if not found:
        message = f"every line of {stream} can be read"
        found.append(DoctorFinding(status="pass", check="log_lines", message=message))
    return found


def _lines_of(stream: str, path: str, data: bytes, is_last: bool) -> list[DoctorFinding]:
    found: list[DoctorFinding] = []
    left_out = 0
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        finding = _line(stream, path, number, line, torn=is_last and number == len(lines)) if line.strip() else None
        if finding is not None and len(found) < MAX_PER_FILE:
            found.append(finding)
        elif finding is not None:
            left_out += 1
    if left_out:
        found.append(_warning("log_lines", f"{left_out} more such lines", path, None, "mend the first ones, run again"))
    return found


def _line(stream: str, path: str, number: int, line: bytes, *, torn: bool) -> DoctorFinding | None:
    event = read_line(stream, line)
    if event is None and torn:
        fix = f"nothing: the next append sets it aside under {RECOVERED}"
        return _warning("log_lines", "the last line is torn: a crash cut it off", path, number, fix)
    if event is None:
        fix = "make the line one JSON object again, or put it back from git or a backup"
        message = "not a JSON object: queries leave it out"
        return DoctorFinding(status="fail", check="log_lines", message=message, file=path, line=number, fix=fix)
    if event.at is None:
        fix = 'give it a "ts" like 2026-05-06T11:32:00Z' if event.writer is None else _FIXES["altered"]
        return _warning("log_times", "no readable time: ranges of time leave it out", path, number, fix)
    return None


def _chain_of(stream: str, report: VerifyReport) -> list[DoctorFinding]:
    # A finding without writer and number is a line that is no entry at all: `_files_of` names it, with its line.
    broken = [finding for finding in report.findings if finding.writer or finding.seq]
    found = [_broken(finding) for finding in broken[:MAX_PER_FILE]]
    if len(broken) > MAX_PER_FILE:
        message = f"{len(broken) - MAX_PER_FILE} more findings in {stream}"
        found.append(_warning("log_chain", message, None, None, f"log_verify with stream {stream} shows more"))
    if not broken:
        message = f"{stream}: {report.entries} entries chain without a break"
        found.append(DoctorFinding(status="pass", check="log_chain", message=message))
    for note in report.notes:
        fix = "put the row back as it was, or take it out: rows are added by the servers"
        found.append(_warning("log_anchors", note, None, None, fix))
    if report.unchained:
        message = f"{stream}: {report.unchained} lines of an older system stand outside the chain"
        fix = "nothing: they are read like any other, but a change to them is not noticed"
        found.append(DoctorFinding(status="pass", check="log_unchained", message=message, fix=fix))
    return found


def _broken(finding: Finding) -> DoctorFinding:
    return DoctorFinding(
        status="fail",
        check="log_chain",
        message=f"{finding.kind} at {finding.stream}/{finding.writer} #{finding.seq}: {finding.detail}",
        file=finding.file,
        fix=_FIXES[finding.kind],
    )


def _warning(check: str, message: str, file: str | None, line: int | None, fix: str) -> DoctorFinding:
    return DoctorFinding(status="warn", check=check, message=message, file=file, line=line, fix=fix)
