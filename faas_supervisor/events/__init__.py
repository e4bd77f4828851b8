"""Bytes to events: pure functions, no input or output, no exception but `EventError`."""

from __future__ import annotations

from faas_supervisor.events._decode import decode
from faas_supervisor.events._describe import describe
from faas_supervisor.events._message import LARGEST
from faas_supervisor.events._model import PAYLOAD_NAME, Event, Record
from faas_supervisor.events._samples import SAMPLES, sample
from faas_supervisor.events._shell import repair

__all__ = ["LARGEST", "PAYLOAD_NAME", "SAMPLES", "Event", "Record", "decode", "describe", "repair", "sample"]
