"""Bytes to events: pure functions, no input or output, no exception but `EventError`."""

from __future__ import annotations

from faas_supervisor.events._model import Event, Record

__all__ = ["Event", "Record"]
