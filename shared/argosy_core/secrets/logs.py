"""Keeping values out of log lines, whoever writes them: our code, the SDK at DEBUG, a traceback."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from argosy_core.secrets.redaction import Redactor

_PLAIN = logging.Formatter()
_STANDARD = frozenset(vars(logging.makeLogRecord({})))


class RedactingFilter(logging.Filter):
    """Lets every record pass, with known values taken out of its message, arguments, traceback and extra fields."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        self._clean_message(record)
        self._clean_traceback(record)
        for name in vars(record).keys() - _STANDARD:
            setattr(record, name, self._redactor.redact_json(getattr(record, name)))
        return True

    def _clean_message(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # the arguments do not fit the message: logging itself reports that, and prints both
            message = f"{record.msg} {record.args!r}"
            record.msg, record.args = self._redactor.redact_text(message), ()
            return
        clean = self._redactor.redact_text(message)
        if clean != message:
            record.msg, record.args = clean, ()

    def _clean_traceback(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[0] is not None:
            text = record.exc_text or _PLAIN.formatException(record.exc_info)
            clean = self._redactor.redact_text(text)
            if clean != text:
                # Formatters print exc_text as it is; those that go by exc_info would read the values again.
                record.exc_text, record.exc_info = clean, None
        if record.stack_info:
            record.stack_info = self._redactor.redact_text(record.stack_info)


def guard_logging(redactor: Redactor) -> Callable[[], None]:
    """Clean every record that any logger of this process makes, and what handlers of the root print; returns the undo.

    A filter on a logger sees only what is logged right there, so records are cleaned where they are made.
    """
    cleaner = RedactingFilter(redactor)
    former = logging.getLogRecordFactory()
    handlers = list(logging.getLogger().handlers)

    def make(*args: Any, **fields: Any) -> logging.LogRecord:
        record = former(*args, **fields)
        cleaner.filter(record)
        return record

    logging.setLogRecordFactory(make)
    for handler in handlers:
        handler.addFilter(cleaner)  # fields given as `extra` are set after the record was made

    def undo() -> None:
        logging.setLogRecordFactory(former)
        for handler in handlers:
            handler.removeFilter(cleaner)

    return undo
