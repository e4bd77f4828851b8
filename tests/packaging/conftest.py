from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder shaped like the frozen one, with shell scripts for programs."""
    made = tmp_path_factory.mktemp("made") / "supervisor"
    inside = made / "_internal-0123"
    (inside / "empty").mkdir(parents=True)
    deep = inside / ("long" * 20) / "python3.11"
    deep.mkdir(parents=True)
    (deep / "module.so").write_bytes(bytes(range(256)) * 5000)
    (inside / "nothing").touch()
    (made / "LICENSE").write_text("free\n")
    for name in ("supervisor", "fwatchdog"):
        program = made / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" in "${{0%/*}}"\nexit 7\n')
    for path in (made, *made.rglob("*")):
        path.chmod(0o755 if path.is_dir() or (path.parent == made and path.name != "LICENSE") else 0o644)
    return made
