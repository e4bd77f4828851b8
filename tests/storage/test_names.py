"""Remote names are hostile: they become files inside one folder, each its own, or are refused."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas_supervisor.errors import EventError, Failure, InvalidPath
from faas_supervisor.storage import Capabilities
from faas_supervisor.storage._names import join, safe_join, validate

ROOT = Path("/place/of/a/run")

hostile = st.text(st.sampled_from("./\\ab\0\n é\udcff:~%"), max_size=12)
any_name = st.one_of(hostile, st.text(st.characters(codec=None), max_size=300))

REFUSED = {
    "empty": "",
    "slash": "/",
    "absolute": "/etc/passwd",
    "two-slashes": "//a",
    "dot": ".",
    "dots": "..",
    "up": "../a",
    "up-inside": "a/../b",
    "up-at-the-end": "a/..",
    "dot-inside": "a/./b",
    "empty-part": "a//b",
    "folder": "a/",
    "nul": "a\0b",
    "surrogate": "a\ud800",
    "not-utf8": os.fsdecode(b"a\xff"),
    "256-bytes": "x" * 256,
    "256-bytes-in-128-letters": "é" * 128,
    "256-bytes-in-a-folder": f"{'x' * 256}/a",
    "4096-bytes": "/".join(["x" * 200] * 21),
}

TAKEN = {
    "plain": "a.txt",
    "folders": "a/b/c.txt",
    "backslash": "a\\b",
    "backslash-up": "..\\..\\etc",
    "three-dots": "...",
    "trailing-dot": "a.",
    "trailing-blank": "a ",
    "leading-blank": " a",
    "blank": " ",
    "dash": "-rf",
    "tilde": "~root",
    "drive": "C:\\a",
    "line-break": "a\nb",
    "quoted": "%2e%2e%2f",
    "glob": "*?[a]",
    "emoji": "🎉",
    "255-bytes": "x" * 255,
    "hidden": ".hidden",
}


def cases(table):
    return pytest.mark.parametrize("name", table.values(), ids=table.keys())


class TestSafeJoin:
    @given(any_name)
    def test_the_file_is_strictly_inside_or_the_name_is_refused(self, name):
        try:
            made = safe_join(ROOT, name)
        except EventError:
            return
        resolved = Path(os.path.realpath(made))
        assert resolved.is_relative_to(ROOT)
        assert resolved != ROOT
        assert os.fsencode(made) == os.fsencode(ROOT) + b"/" + name.encode()

    @given(any_name, any_name)
    def test_two_names_are_never_one_file(self, one, other):
        try:
            first, second = safe_join(ROOT, one), safe_join(ROOT, other)
        except EventError:
            return
        assert (os.path.realpath(first) == os.path.realpath(second)) is (one == other)

    @given(any_name)
    def test_what_is_accepted_can_be_made(self, tmp_path_factory, name):
        root = tmp_path_factory.getbasetemp()
        try:
            made = safe_join(root, name)
        except EventError:
            return
        if "/" not in name:
            made.write_bytes(b"")
            assert name in [path.name for path in root.iterdir()]
            made.unlink()

    @cases(REFUSED)
    def test_these_are_refused(self, name):
        with pytest.raises(EventError) as caught:
            safe_join(ROOT, name)
        assert caught.value.failure is Failure.EVENT
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 600

    @cases(TAKEN)
    def test_these_are_taken_as_they_are(self, tmp_path, name):
        made = safe_join(tmp_path, name)
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_bytes(b"x")
        found = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
        assert [str(path) for path in found] == [name]

    def test_two_ways_to_write_an_accent_are_two_files(self, tmp_path):
        one, other = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
        safe_join(tmp_path, one).write_bytes(b"1")
        safe_join(tmp_path, other).write_bytes(b"2")
        assert len(list(tmp_path.iterdir())) == 2

    def test_the_longest_path_that_linux_takes_is_taken(self):
        name = "a/" * 2000
        longest = (name + "x" * 200)[: 4095 - len("/r/")]
        assert len(str(safe_join(Path("/r"), longest))) == 4095
        with pytest.raises(EventError, match="4095 bytes"):
            safe_join(Path("/rr"), longest)


OBJECTS = Capabilities(opaque_keys=True)
FOLDERS = Capabilities()


class TestValidate:
    @pytest.mark.parametrize(
        "path",
        [
            "bucket/key", "bucket/a//b", "bucket/y/../z", "bucket/../../z", "bucket//key", "bucket/key/", "bucket/.",
            "bucket/ ", "bucket/" + "k" * 1024, "bucket/" + "é" * 512, "bucket/a\nb", "bucket/%2F",
        ],
    )  # fmt: skip
    def test_a_key_of_an_object_store_may_be_anything(self, path):
        validate(path, OBJECTS)

    @pytest.mark.parametrize(
        ("path", "why"),
        [
            ("bucket", "no key"),
            ("bucket/", "no key"),
            ("", "bucket"),
            ("/key", "bucket"),
            ("../key", "bucket"),
            ("./key", "bucket"),
            ("buc\0ket/key", "bucket"),
            ("bucket/k\0ey", "NUL"),
            ("bucket/" + "k" * 1025, "1024 bytes"),
            ("bucket/" + "é" * 513, "1024 bytes"),
            ("bucket/\ud800", "UTF-8"),
            (os.fsdecode(b"bucket/\xff"), "UTF-8"),
            (os.fsdecode(b"\xff/key"), "UTF-8"),
        ],
    )
    def test_these_are_no_keys(self, path, why):
        with pytest.raises(InvalidPath, match=why) as caught:
            validate(path, OBJECTS)
        assert str(caught.value).isprintable()

    @pytest.mark.parametrize("path", ["a", "a/b", "a b", "a\\b", "...", "a\nb", "ä", "x" * 1025])
    def test_a_path_in_folders_is_taken(self, path):
        validate(path, FOLDERS)

    @pytest.mark.parametrize(
        "path",
        ["", "/a", "a//b", "a/", "y/../z", "./a", "a/.", "..", "a\0b", "\ud800", os.fsdecode(b"a/\xff")],
        ids=ascii,
    )
    def test_these_are_no_paths_in_folders(self, path):
        with pytest.raises(InvalidPath) as caught:
            validate(path, FOLDERS)
        assert str(caught.value).isprintable()

    @given(any_name)
    def test_only_invalid_path_is_raised_for_any_text_and_says_so_on_one_line(self, path):
        for capabilities in (OBJECTS, FOLDERS):
            message = ""
            try:
                validate(path, capabilities)
            except InvalidPath as error:
                message = str(error)
            assert message.isprintable()


@pytest.mark.parametrize(("folder", "name", "path"), [("", "a", "a"), ("b", "a", "b/a"), ("b/c", "d/e", "b/c/d/e")])
def test_a_name_joins_its_folder(folder, name, path):
    assert join(folder, name) == path
