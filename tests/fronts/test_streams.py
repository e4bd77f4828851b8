"""Our own standard streams."""

from __future__ import annotations

import os

import pytest

from faas_supervisor.fronts._streams import ensure_open


def test_a_container_without_dev_null_is_told_in_one_line(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(os, "devnull", str(tmp_path / "null"))
    with pytest.raises(SystemExit) as ended:
        ensure_open()
    assert ended.value.code == 111
    assert capfd.readouterr().err.splitlines() == [
        "supervisor: there is no /dev/null in this container — mount /dev",
    ]
