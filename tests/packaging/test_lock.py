"""The versions that are frozen are those that our distributions ask for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "packaging" / "requirements.txt").read_text()
PINNED = {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.MULTILINE)}


def _wanted():
    for file in (ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")):
        document = tomllib.loads(file.read_text())
        yield from document["project"]["dependencies"]
        yield from document.get("dependency-groups", {}).get("freeze", [])


def test_every_dependency_is_pinned_to_a_version_that_fits():
    wanted = [Requirement(line) for line in _wanted() if not line.startswith("faas-supervisor")]
    assert len(wanted) > 10
    unfit = [str(it) for it in wanted if not it.specifier.contains(PINNED.get(canonicalize_name(it.name), "0"))]
    assert unfit == [], "run packaging/lock.sh"


def test_every_version_comes_with_digests():
    entries = re.split(r"\n(?=\S)", LOCK.strip())
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_lock_names_no_index():
    assert "://" not in LOCK


def test_markers_are_understood_by_pip():
    for marker in re.findall(r" ; (.*?) \\", LOCK):
        assert isinstance(Requirement(f"x; {marker}").marker.evaluate(default_environment()), bool)
