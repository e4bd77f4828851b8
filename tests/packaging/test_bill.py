"""The list of what is inside: complete, valid, and with the words of its makers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import contents
import native
import pytest
from bill import bill_of_materials, notices
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from errors import BuildError
from inventory import Part, inventory
from native import copy_c_library, static_program

from tests.programs import need


@pytest.fixture(scope="module")
def inside(tmp_path_factory):
    need("gcc", "musl-gcc")
    return tmp_path_factory.mktemp("inside")


@pytest.fixture(scope="module")
def parts(inside):
    libraries = copy_c_library(inside)
    static_program(Path(native.__file__).with_name("starter.c"), inside / "starter")
    return inventory(libraries)


@pytest.fixture(scope="module")
def bill(parts, inside):
    return json.loads(bill_of_materials(parts, inside, 0))


@pytest.fixture(scope="module")
def components(bill):
    return {component["name"]: component for component in bill["components"]}


def test_it_is_valid_cyclonedx(bill):
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None


def test_it_is_about_the_supervisor(bill):
    assert bill["metadata"]["component"]["name"] == "faas-supervisor"


def test_every_distribution_is_in_it_with_version_licence_and_package_url(components):
    for found in contents.distributions():
        if found.name == "faas-supervisor":
            continue
        component = components[found.name.lower().replace("_", "-")]
        assert component["version"] == found.version
        assert component["licenses"]
        assert component["purl"].startswith("pkg:pypi/")


def test_every_library_is_in_it_with_the_digest_of_its_file(components, inside):
    for path in inside.iterdir():
        component = components["musl" if path.name == "starter" else path.name]
        assert component["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}]
        assert component["licenses"]
        assert component["version"]


def test_what_a_distribution_says_of_its_own_parts_is_taken_over(components):
    crates = {crate["name"]: crate for crate in components["obstore"]["components"]}
    assert crates["object_store"]["purl"].startswith("pkg:cargo/object_store@")
    assert crates["object_store"]["licenses"]


def test_it_knows_who_needs_whom(bill):
    needs = {item["ref"]: item.get("dependsOn", []) for item in bill["dependencies"]}
    assert "botocore" in needs["boto3"]
    assert {"click", "libc.so.6", "cpython"} <= set(needs["faas-supervisor"])


def test_it_names_no_place_of_the_machine_that_built_it(bill, parts):
    text = json.dumps(bill) + notices(parts)
    assert "file://" not in text.replace("file:///usr/share/common-licenses", "")
    assert str(contents.__file__).rpartition("/")[0] not in text


def test_the_same_parts_give_the_same_text(parts, inside):
    assert bill_of_materials(parts, inside, 0) == bill_of_materials(list(reversed(parts)), inside, 0)


def test_the_notices_name_everybody_and_give_each_text_once(parts):
    text = notices(parts)
    for part in parts:
        assert f"- {part.name} {part.version}: {part.licence}" in text
    assert "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2" in text


def test_a_text_that_two_share_is_there_once():
    shared = [Part(name, "1", "MIT", f"pkg:generic/{name}@1", ("the licence\n",)) for name in "ab"]
    assert notices(shared).count("the licence") == 1
    assert "\na, b\n" in notices(shared)


def test_a_library_with_an_unknown_licence_stops_the_build(tmp_path):
    with pytest.raises(BuildError, match=r"the licence of libnew\.so\.1 is not known"):
        inventory({"libnew.so.1": tmp_path / "libnew.so.1"})


def test_a_library_of_no_package_is_told(tmp_path, capsys):
    (tmp_path / "libz.so.1").touch()
    (part,) = [part for part in inventory({"libz.so.1": tmp_path / "libz.so.1"}) if part.name == "libz.so.1"]
    assert (part.version, part.texts) == ("1", ())
    assert "libz.so.1 is of no Debian package" in capsys.readouterr().err
