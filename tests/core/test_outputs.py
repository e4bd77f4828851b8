"""What the script wrote: which files go where, and a word about everything that goes nowhere."""

from __future__ import annotations

import itertools
import os
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from faas_supervisor.config import Output
from faas_supervisor.errors import Failure, OutputError
from faas_supervisor.outputs import files_below, matches, uploads
from faas_supervisor.report import RunReport
from tests.core.users import nobody


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "output"
    folder.mkdir()
    return folder


class Seen:
    """The names that were found, and the warnings."""

    def __init__(self, folder):
        self.warnings = []
        self.found = list(files_below(folder, self.warnings.append))
        self.names = sorted(name for _, name in self.found)


class TestFilesBelow:
    def test_files_are_found_at_any_depth_with_their_relative_names(self, folder):
        for name in ("top", "a/one", "a/b/c/deep", ".hidden", "a/.hidden/x"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
        seen = Seen(folder)
        assert seen.names == sorted(["top", "a/one", "a/b/c/deep", ".hidden", "a/.hidden/x"])
        assert all(path.read_text() == name for path, name in seen.found)
        assert seen.warnings == []

    def test_an_empty_folder_has_none(self, folder):
        (folder / "empty").mkdir()
        assert Seen(folder).names == []

    @pytest.mark.parametrize(
        "name", [" ", "a b ", "line\nbreak", "#?%&", "-rf", "\\", "a\\b", "é", "e\u0301", "🎉", "..."], ids=ascii
    )
    def test_any_name_is_found_as_it_is(self, folder, name):
        (folder / name).touch()
        assert Seen(folder).names == [name]

    def test_a_name_that_is_not_utf8_is_found(self, folder):
        open(os.fsencode(folder) + b"/a\xff", "wb").close()  # noqa: PTH123
        assert [os.fsencode(name) for name in Seen(folder).names] == [b"a\xff"]

    def test_a_link_to_a_file_inside_counts_as_that_file(self, folder):
        (folder / "a").mkdir()
        (folder / "a" / "file").write_text("x")
        (folder / "link").symlink_to("a/file")
        (folder / "a" / "absolute").symlink_to(folder / "a" / "file")
        seen = Seen(folder)
        assert seen.names == ["a/absolute", "a/file", "link"]
        assert all(path.read_text() == "x" for path, _ in seen.found)

    @pytest.mark.parametrize(
        ("make", "why"),
        [
            (lambda path: path.symlink_to("/etc/passwd"), "a symbolic link out of the output folder"),
            (lambda path: path.symlink_to("../../outside"), "a symbolic link out of the output folder"),
            (lambda path: path.symlink_to("/"), "a symbolic link out of the output folder"),
            (lambda path: path.symlink_to("inner"), "a symbolic link, and not to a file"),
            (lambda path: path.symlink_to("."), "a symbolic link, and not to a file"),
            (lambda path: path.symlink_to("nowhere"), "a symbolic link, and not to a file"),
            (lambda path: path.symlink_to(path.name), "a symbolic link, and not to a file"),
            (os.mkfifo, "a FIFO"),
        ],
        ids=["out", "up", "root", "to-a-folder", "to-itself", "dangling", "loop", "fifo"],
    )
    def test_what_is_no_file_is_left_out_with_a_warning(self, folder, make, why):
        (folder / "inner").mkdir()
        make(folder / "odd one")
        seen = Seen(folder)
        assert seen.names == []
        assert seen.warnings == [f"odd one is left out: it is {why}"]

    def test_a_link_out_of_the_folder_by_way_of_another_link_is_left_out(self, folder, tmp_path):
        (tmp_path / "secret").touch()
        (folder / "one").symlink_to(tmp_path)
        (folder / "two").symlink_to("one/secret")
        assert Seen(folder).names == []

    def test_a_folder_with_the_same_beginning_is_outside(self, folder, tmp_path):
        (tmp_path / "output-2").mkdir()
        (tmp_path / "output-2" / "file").touch()
        (folder / "link").symlink_to(tmp_path / "output-2" / "file")
        assert Seen(folder).names == []

    def test_a_socket_and_a_device_are_left_out(self, folder, monkeypatch):
        monkeypatch.chdir(folder)  # the path of a socket has 107 bytes at most
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
            expected = ["socket is left out: it is a socket"]
            if os.geteuid() == 0:
                os.mknod("device", 0o600 | 0o020000, os.makedev(1, 3))
                expected.append("device is left out: it is a device")
            assert sorted(Seen(folder).warnings) == sorted(expected)

    def test_a_warning_stays_on_one_line(self, folder):
        os.mkfifo(folder / "a\nERROR - forged")
        assert Seen(folder).warnings == ["a\\nERROR - forged is left out: it is a FIFO"]

    def test_files_are_found_one_by_one_however_many_there_are(self, folder, monkeypatch):
        for number in range(100):
            (folder / f"{number}").touch()
        taken = []
        scandir = os.scandir

        @contextmanager
        def counting(path):
            with scandir(path) as entries:
                yield (taken.append(entry.name) or entry for entry in entries)

        monkeypatch.setattr(os, "scandir", counting)
        found = files_below(folder, pytest.fail)
        assert len(list(itertools.islice(found, 10))) == 10
        assert len(taken) == 10
        assert len(list(found)) == 90

    def test_a_folder_that_is_gone_is_an_output_error(self, folder):
        folder.rmdir()
        with pytest.raises(
            OutputError, match=r"the output folder can't be read.*No such file.*the script may have"
        ) as caught:
            Seen(folder)
        assert caught.value.failure is Failure.OUTPUT

    def test_a_folder_that_became_a_file_is_an_output_error(self, folder):
        folder.rmdir()
        folder.touch()
        with pytest.raises(OutputError, match="Not a directory"):
            Seen(folder)

    def test_a_folder_that_became_a_link_is_not_followed(self, folder, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "secret").touch()
        folder.rmdir()
        folder.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(OutputError, match="symbolic link"):
            Seen(folder)

    def test_a_workspace_that_is_reached_by_a_link_is_no_matter(self, folder, tmp_path):
        (folder / "file").touch()
        (folder / "inside").symlink_to("file")
        (tmp_path / "link").symlink_to(tmp_path)
        assert Seen(tmp_path / "link" / "output").names == ["file", "inside"]

    def test_a_folder_that_the_script_shut_is_an_output_error(self):
        with tempfile.TemporaryDirectory() as place, nobody(Path(place)):
            shut = Path(place, "out", "shut")
            shut.mkdir(parents=True)
            (shut / "file").touch()
            shut.chmod(0)
            with pytest.raises(OutputError, match="can't be read at shut: Permission denied"):
                Seen(shut.parent)
            shut.chmod(0o700)

    def test_a_link_into_a_shut_folder_does_no_harm(self):
        with tempfile.TemporaryDirectory() as place, nobody(Path(place)):
            shut = Path(place, "out", "shut")
            shut.mkdir(parents=True)
            (shut / "file").touch()
            (shut.parent / "link").symlink_to("shut/file")
            shut.chmod(0)
            try:
                with pytest.raises(OutputError):
                    Seen(shut.parent)
            finally:
                shut.chmod(0o700)


OUTPUT = Output("minio.default", "bucket/out")


class TestFilters:
    @pytest.mark.parametrize(
        ("prefix", "suffix", "name", "wanted"),
        [
            ((), (), "anything", True),
            (("a",), (), "abc", True),
            (("b",), (), "abc", False),
            (("x", "a"), (), "abc", True),
            ((), (".txt",), "a.txt", True),
            ((), (".txt",), "a.TXT", False),
            ((), (".png", ".txt"), "a.txt", True),
            (("a",), (".txt",), "a.txt", True),
            (("a",), (".txt",), "b.txt", False),
            (("a",), (".txt",), "a.png", False),
            (("folder/",), (), "folder/x", True),
            (("x",), (), "folder/x", False),
            ((".",), (), "abc", False),
        ],
    )
    def test_any_prefix_and_any_suffix_of_the_relative_path_must_match(self, prefix, suffix, name, wanted):
        assert matches(name, Output("a.b", "c", prefix, suffix)) is wanted


class TestUploads:
    @pytest.fixture
    def report(self):
        return RunReport("input.txt")

    @pytest.fixture
    def files(self, folder):
        for name in ("a.txt", "b.png", "c.log"):
            (folder / name).touch()
        return folder

    def planned(self, folder, outputs, report):
        return sorted((upload.name, upload.output.path) for upload in uploads(folder, outputs, report))

    def test_every_output_gets_what_it_wants(self, files, report):
        outputs = [Output("m.d", "texts", suffix=(".txt",)), Output("s.d", "all")]
        assert self.planned(files, outputs, report) == [
            ("a.txt", "all"), ("a.txt", "texts"), ("b.png", "all"), ("c.log", "all"),
        ]  # fmt: skip
        assert report.warnings == []

    def test_a_file_that_no_output_wants_is_a_warning(self, files, report):
        outputs = [Output("m.d", "x", suffix=(".txt", ".png"))]
        assert len(self.planned(files, outputs, report)) == 2
        assert report.warnings == ["c.log is not uploaded: it matches no output"]
        assert not report.failed

    def test_without_outputs_nothing_is_said_about_files(self, files, report):
        assert self.planned(files, [], report) == []
        assert report.warnings == []

    @pytest.mark.parametrize(
        ("output", "filters"),
        [
            (Output("m.d", "x", suffix=(".csv", ".tsv")), "(suffix .csv, .tsv)"),
            (Output("m.d", "x", prefix=("z",), suffix=(".csv",)), "(prefix z; suffix .csv)"),
        ],
    )
    def test_an_output_that_nothing_matched_is_a_warning(self, files, report, output, filters):
        self.planned(files, [OUTPUT, output], report)
        assert report.warnings == [f"0 files matched the output m.d x {filters}"]
        assert not report.failed

    def test_an_empty_folder_is_a_warning_for_every_output(self, folder, report):
        self.planned(folder, [OUTPUT], report)
        assert report.warnings == ["0 files matched the output minio.default bucket/out (no filters)"]

    def test_nothing_for_a_required_output_is_a_failure_and_the_rest_goes_on(self, files, report):
        outputs = [Output("m.d", "needed", suffix=(".csv",), required=True), OUTPUT]
        assert len(self.planned(files, outputs, report)) == 3
        result = report.result()
        assert result.failure is Failure.OUTPUT
        assert result.reason == "no file matched the output m.d needed (suffix .csv) — it is required"

    def test_a_folder_that_is_gone_is_a_failure(self, folder, report):
        folder.rmdir()
        assert self.planned(folder, [OUTPUT], report) == []
        assert report.result().failure is Failure.OUTPUT

    def test_a_function_without_outputs_may_do_what_it_likes_with_the_folder(self, folder, report):
        folder.rmdir()
        assert self.planned(folder, [], report) == []
        assert not report.failed
