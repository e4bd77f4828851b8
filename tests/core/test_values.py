"""Values: frozen, slotted classes that don't cost what dataclasses do, and that pass for them."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
import subprocess
import sys
from typing import ClassVar

import pytest

from faas_supervisor.storage import setting
from faas_supervisor.values import declared, field, replace, value


@value
class Point:
    """A value to look at."""

    x: int
    y: int = 2
    tags: tuple[str, ...] = field(default_factory=lambda: ("new",))
    note: str = field(default="", repr=False, compare=False)

    origin: ClassVar = 0

    def total(self) -> int:
        return self.x + self.y


POINT = Point(1)


@pytest.mark.parametrize(
    "made", [Point(1, 2, ("new",), ""), Point(x=1), Point(1, y=2), replace(Point(5), x=1), Point(1, note="other")]
)
def test_values_with_equal_fields_are_equal_and_hash_alike(made):
    assert made == POINT
    assert hash(made) == hash(POINT)


@pytest.mark.parametrize("other", [Point(2), Point(1, 3), Point(1, tags=()), (1, 2, ("new",), ""), None])
def test_other_values_are_not_equal(other):
    assert other != POINT


def test_a_value_shows_its_fields_but_for_those_that_are_hidden():
    assert repr(replace(POINT, note="secret")) == "Point(x=1, y=2, tags=('new',))"


def test_methods_and_class_attributes_stay():
    assert (POINT.total(), Point.origin) == (3, 0)


@pytest.mark.parametrize("change", [lambda: setattr(POINT, "x", 3), lambda: delattr(POINT, "x")])
def test_nothing_about_a_value_can_be_changed(change):
    with pytest.raises(AttributeError, match="frozen"):
        change()


def test_a_value_has_no_room_for_other_attributes():
    with pytest.raises(AttributeError):
        object.__setattr__(POINT, "z", 1)


@pytest.mark.parametrize(
    "make",
    [
        Point,
        lambda: Point(1, 2, (), "", 5),
        lambda: Point(1, x=1),
        lambda: Point(1, z=1),
        lambda: replace(POINT, z=1),
    ],
    ids=["missing", "too many", "twice", "unknown", "replace unknown"],
)
def test_wrong_fields_are_refused(make):
    with pytest.raises(TypeError, match=r"Point|frozen"):
        make()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_a_value_can_be_copied(duplicate):
    assert duplicate(POINT) == POINT


def test_a_value_matches_patterns_by_position():
    match POINT:
        case Point(x, y):
            assert (x, y) == (1, 2)
        case _:
            pytest.fail("it did not match")


def test_the_functions_of_dataclasses_take_values_too():
    assert dataclasses.is_dataclass(POINT)
    assert [one.name for one in dataclasses.fields(Point)] == ["x", "y", "tags", "note"]
    assert dataclasses.replace(POINT, y=7) == Point(1, 7)
    assert dataclasses.asdict(POINT) == {"x": 1, "y": 2, "tags": ("new",), "note": ""}


def test_settings_may_be_declared_in_a_value_or_in_a_dataclass():
    def settings(decorate):
        @decorate
        class Settings:
            root: str = setting("Where.")
            depth: int = setting("How deep.", default=3, env="DEPTH")

        return {
            name: (one.required, None if one.required else one.default, dict(one.metadata))
            for name, one in declared(Settings).items()
        }

    expected = {
        "root": (True, None, {"help": "Where.", "env": "", "credential": False}),
        "depth": (False, 3, {"help": "How deep.", "env": "DEPTH", "credential": False}),
    }
    assert settings(value) == settings(dataclasses.dataclass(frozen=True, slots=True)) == expected


def test_neither_dataclasses_nor_inspect_is_imported_for_values():
    code = (
        "import sys; from faas_supervisor.storage import setting; from faas_supervisor.values import *\n"
        "@value\nclass Settings:\n  root: str = setting('Where.')\n"
        "assert Settings('/').root == '/' and declared(Settings)['root'].required\n"
        "sys.exit(', '.join({'dataclasses', 'inspect'} & set(sys.modules)) or None)"
    )

    # Measuring coverage would import both.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "COVERAGE"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
