"""What only the engine on boto3 must guard."""

from __future__ import annotations

from faas_supervisor_s3.boto_engine import _transfer
from faas_supervisor_s3.engine import PART


def test_the_transfer_client_is_never_chosen_by_boto3():
    """`auto` takes the CRT client where its package happens to be installed."""
    assert _transfer(PART, 8 * PART).preferred_transfer_client == "classic"


def test_memory_bounds_what_is_under_way_and_what_is_read_ahead():
    config = _transfer(PART, 8 * PART)
    assert config.max_concurrency + config.max_in_memory_upload_chunks <= 8
    assert _transfer(PART, PART).max_concurrency == 1
