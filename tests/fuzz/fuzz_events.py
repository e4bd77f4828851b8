"""Fuzz the decoding of events: any bytes give an Event or an EventError, and the same ones each time.

    python tests/fuzz/fuzz_events.py -atheris_runs=20000

The first inputs are the fixtures of `tests/events`; more folders of inputs may be named. A finding is written to
the current folder as `crash-…`; name it as the only argument to see it again.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["faas_supervisor.events"]):
    from faas_supervisor.errors import EventError
    from faas_supervisor.events import Event, decode, describe, repair

FIXTURES = Path(__file__).parent.parent / "events" / "fixtures"
HEADERS = (
    {},
    {"content-type": "application/cloudevents+json"},
    {"content-type": "application/cloudevents-batch+json"},
    {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t"},
)


def check(data: bytes) -> None:
    """Decode `data` under each kind of headers, and compare it with an environment variable made of its halves."""
    for headers in HEADERS:
        event = outcome(data, headers)
        if isinstance(event, EventError):
            assert str(event).isprintable()
            continue
        assert bool(event.records) != bool(event.skipped)
        assert event.raw == data
        assert event == outcome(data, headers)
        assert describe(event)["type"] == event.type
        for record in event.records:
            assert (record.data is None) == (record.provider is not None)
            assert record.data is not None or record.path is not None or record.subscription is not None
        for value in event.variables.values():
            value.encode("utf-8")
    variable = data[: len(data) // 2].replace(b"\0", b"").decode("utf-8", "surrogateescape")
    stdin = data[len(data) // 2 :]
    assert repair(stdin, variable)[0] in {stdin, variable.encode("utf-8", "surrogateescape")}


def outcome(data: bytes, headers: dict[str, str]) -> Event | EventError:
    """Return the event that `data` is, or the one error that is allowed."""
    try:
        return decode(data, headers=headers)
    except EventError as error:
        return error


def main() -> None:
    """Run the fuzzer. What it finds on the way goes to a folder of its own, the fixtures are only read."""
    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz-events-"), str(FIXTURES)]
    atheris.Setup(arguments, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
