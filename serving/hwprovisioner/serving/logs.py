"""Logging of a service: a line a record on stderr, as text for people or JSON for collectors."""

import datetime
import json
import logging
import sys
from typing import TextIO

FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")

# What grpc.aio raises; the class is private.
_NOT_SENT = "ExecuteBatchError"

# What every record has; anything else came with `extra`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class TextFormatter(logging.Formatter):
    """``TIME LEVEL LOGGER: MESSAGE name=value``, then the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        extras = "".join(f" {name}={value}" for name, value in _extras(record).items())
        said = _harmless(record.getMessage() + extras)
        line = f"{_time(record)} {record.levelname:<7} {record.name}: {said}"
        return f"{line}\n{trace}" if (trace := _traceback(self, record)) else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the extras, and any traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        fields: dict[str, object] = {
            **_extras(record),
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if trace := _traceback(self, record):
            fields["traceback"] = trace
        return json.dumps(fields, default=str)


def configure(*, log_format: str, level: str, stream: TextIO | None = None) -> None:
    """Send all records from `level` on to `stream` (stderr), and nowhere else.

    Args:
        log_format: one of `FORMATS`.
        level: one of `LEVELS`.
        stream: where to, for tests.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    handler.addFilter(_is_news)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out that an answer could not be sent, as its caller has gone.

    grpc.aio says so with a traceback if it has not heard of that by itself yet, which is no error.
    """
    error = record.exc_info and record.exc_info[1]
    is_of_grpc = record.name == "grpc._cython.cygrpc" and type(error).__name__ == _NOT_SENT
    return not (is_of_grpc and str(error).startswith('Failed "execute_batch"'))


def _harmless(text: str) -> str:
    """Return a text, words of others in it too, that neither drives terminals nor forges lines."""
    kept = (each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text)
    return "".join(kept).replace("\n", "\n  ")


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)
