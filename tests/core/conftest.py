"""Every test begins with no secret known and leaves the log as it found it."""

from __future__ import annotations

import logging

import pytest

from faas_supervisor import secrets


@pytest.fixture(autouse=True)
def _no_secrets_known(monkeypatch):
    monkeypatch.setattr(secrets, "_known", [])


@pytest.fixture(autouse=True)
def _log_as_it_was():
    loggers = [logging.getLogger(name) for name in (None, "faas_supervisor", "py.warnings")]
    before = [(logger, logger.handlers[:], logger.level) for logger in loggers]
    raising = logging.raiseExceptions
    yield
    logging.captureWarnings(capture=False)
    for logger, handlers, level in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)
    logging.raiseExceptions = raising
