"""One log, masked: the format that OSCAR's users read, or JSON lines; stable event names either way.

An event name (`download.done`, `script.start`, …) and its fields travel in the record's `extra`;
`docs/logs.md` lists them.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Final, Literal

from faas_supervisor.secrets import mask, masked

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["configure", "emit", "follow", "log"]

log: Final = logging.getLogger("faas_supervisor")

_followed: Final[set[str]] = set()

# As the supervisor that OSCAR users know writes it; dashboards and eyes are used to it.
_TEXT: Final = "%(asctime)s - supervisor - %(levelname)s - %(message)s"


def emit(level: int, event: str, message: str, /, **fields: object) -> None:
    """Log `message` under the stable name `event`, with `fields` for those who read JSON."""
    log.log(level, message, extra={"event": event, "fields": fields})


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "event": getattr(record, "event", "log"),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.name != log.name:
            line["logger"] = record.name
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(masked(line), ensure_ascii=False)


def configure(level: str, form: Literal["text", "json"] = "text", stream: TextIO | None = None) -> None:
    """Send our log to `stream` (default: standard error) from `level` on; replaces what an earlier call set.

    Other libraries are heard from WARNING on only: at DEBUG botocore and urllib3 print signed headers.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_TextFormatter(_TEXT) if form == "text" else _JsonFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in (log.name, *_followed):
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # a closed stderr must not end an invocation
    # Nothing that we print; Python's "Logging HOWTO", Optimization. A third of what a line costs.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def follow(module: str) -> None:
    """Let the logger of a plugin's `module` speak from our level on, also when that changes."""
    _followed.add(module)
    logging.getLogger(module).setLevel(log.level)
