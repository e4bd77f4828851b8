"""The answer: what a caller of the function gets back, streamed and nothing else."""

from __future__ import annotations

import base64
import io
import os
import tempfile
import zipfile
from pathlib import Path

import pytest

from faas_supervisor.answer import answering
from faas_supervisor.call import Call
from faas_supervisor.config import Function
from faas_supervisor.errors import Failure, NoSpace, OutputError
from faas_supervisor.events import Record
from faas_supervisor.planning import Item, Run
from faas_supervisor.report import RunReport
from faas_supervisor.script import Outcome
from faas_supervisor.workspace import Workspace
from tests.core.users import nobody

PIECE = 3 * 64 * 1024
PAYLOAD = Record("event-file", data=b"x")
STORED = Record("a", provider="minio.default", path="in/a")


class Sink:
    def __init__(self):
        self.pieces = []

    def write(self, data):
        self.pieces.append(bytes(data))

    @property
    def data(self):
        return b"".join(self.pieces)


class Caller:
    """Asks for an answer, in the place of the front and the script."""

    def __init__(self, folders):
        self.folders = folders
        self.out, self.err = Sink(), Sink()
        self.report = RunReport("run")

    def answer(self, *, says=(), err=(), status=0, record=PAYLOAD, before=None, **function):
        """Let a script say something and end, and return what the caller gets."""
        call = Call(b"", {}, self.out, self.err)
        run = Run((Item(record, record.name, None),), ())
        with answering(run, self.folders, call, Function(**function), self.report) as (stdout, stderr):
            for data in says:
                stdout.write(data)
            for data in err:
                stderr.write(data)
            self.report.ended(Outcome(status, None, 0.0, 0.0, 0.0, 0))
            if before:
                before()
        return self.out.data


@pytest.fixture
def caller(tmp_path):
    with Workspace({"TMPDIR": str(tmp_path)}) as workspace, workspace.folders(1) as folders:
        yield Caller(folders)


@pytest.fixture
def output(caller):
    return caller.folders.output


def unzipped(answer):
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(answer, validate=True))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


class TestOneFile:
    @pytest.mark.parametrize("size", [0, 1, 2, 3, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 2, 5 * PIECE + 1])
    def test_it_is_base64_of_the_file(self, caller, output, size):
        content = os.urandom(size)
        (output / "result.bin").write_bytes(content)
        assert caller.answer(says=[b"talk"]) == base64.b64encode(content)

    def test_it_is_found_in_a_folder(self, caller, output):
        (output / "a" / "b").mkdir(parents=True)
        (output / "a" / "b" / "c").write_bytes(b"deep")
        assert caller.answer() == base64.b64encode(b"deep")

    def test_it_is_written_piece_by_piece(self, caller, output):
        (output / "large").write_bytes(b"x" * (10 * PIECE))
        caller.answer()
        assert len(caller.out.pieces) == 10

    def test_a_link_out_of_the_folder_is_no_file(self, caller, output):
        (output / "link").symlink_to("/etc/passwd")
        assert caller.answer(says=[b"said"]) == b"said"
        assert caller.report.warnings == ["link is left out: it is a symbolic link out of the output folder"]


class TestSeveralFiles:
    def test_they_are_a_zip_of_their_relative_names(self, caller, output):
        files = {"a.txt": b"a", "deep/er/b.bin": os.urandom(3 * PIECE), "c d\n#%.é": b"", "..hidden": b"h"}
        for name, content in files.items():
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            (output / name).write_bytes(content)
        assert unzipped(caller.answer()) == files

    def test_a_name_that_is_not_utf8_is_shown(self, caller, output):
        (output / "a").write_bytes(b"1")
        open(bytes(output) + b"/b\xff", "wb").close()  # noqa: PTH123
        assert unzipped(caller.answer()) == {"a": b"1", "b\\udcff": b""}

    @pytest.mark.parametrize("when", [0, 100, 2**33], ids=["1970", "1970-too", "2242"])
    def test_times_that_zip_can_not_tell_are_no_matter(self, caller, output, when):
        for name in ("a", "b"):
            (output / name).write_bytes(b"x")
            os.utime(output / name, (when, when))
        assert unzipped(caller.answer()) == {"a": b"x", "b": b"x"}

    def test_a_link_inside_is_a_file_of_its_own(self, caller, output):
        (output / "a").write_bytes(b"x")
        (output / "b").symlink_to("a")
        assert unzipped(caller.answer()) == {"a": b"x", "b": b"x"}


class TestNoFile:
    def test_it_is_the_scripts_output_as_it_came(self, caller):
        assert caller.answer(says=[b"one\n", b"\xff\0two"]) == b"one\n\xff\0two"

    def test_what_the_script_says_is_shown_meanwhile(self, caller):
        caller.answer(says=[b"one\n"])
        assert caller.err.data == b"one\n"

    def test_both_outputs_are_combined_in_their_order(self, caller):
        assert caller.answer(says=[b"out"], err=[b"err"]) == b"outerr"

    def test_or_only_the_first_one_counts(self, caller):
        assert caller.answer(says=[b"out"], err=[b"err"], combine_output=False) == b"out"
        assert caller.err.data == b"outerr"

    def test_a_script_that_says_nothing_answers_nothing(self, caller):
        assert caller.answer() == b""


class TestFailures:
    def test_a_script_that_failed_answers_what_it_said(self, caller, output):
        (output / "half").write_bytes(b"x")
        assert caller.answer(says=[b"no such column"], status=3) == b"no such column"

    def test_so_does_one_whose_outputs_could_not_be_uploaded(self, caller, output):
        (output / "whole").write_bytes(b"x")
        assert caller.answer(says=[b"said"], before=lambda: caller.report.fail(OutputError("refused"))) == b"said"

    def test_one_that_could_not_even_run_answers_nothing(self, caller):
        def stop():
            raise OutputError("broken")

        with pytest.raises(OutputError):
            caller.answer(says=[b"said"], before=stop)
        assert caller.out.data == b""

    def test_an_output_folder_that_is_gone_is_told(self, caller, output):
        output.rmdir()
        with pytest.raises(OutputError, match="the output folder can't be read"):
            caller.answer(says=[b"said"])

    def test_a_full_disk_while_recording_is_told_and_the_pipe_is_drained(self, caller):
        (caller.folders.private / "output").symlink_to("/dev/full")
        with pytest.raises(NoSpace, match="the script's output can't be kept.*No space left") as caught:
            caller.answer(says=[b"x" * 100, b"y" * 100])
        assert caught.value.failure is Failure.NO_SPACE
        assert caller.err.data == b"x" * 100 + b"y" * 100

    def test_a_full_disk_while_packing_is_told(self, caller, output):
        for name in ("a", "b"):
            (output / name).write_bytes(os.urandom(100_000))
        (caller.folders.private / "answer.zip").symlink_to("/dev/full")
        with pytest.raises(NoSpace, match="the answer can't be packed: .*No space left"):
            caller.answer()

    def test_a_file_that_the_script_shut_is_told(self):
        with tempfile.TemporaryDirectory() as place, nobody(Path(place)):
            with Workspace({"TMPDIR": place}) as workspace, workspace.folders(1) as folders:
                (folders.output / "file").touch(mode=0)
                with pytest.raises(OutputError, match="the answer can't be read: .*Permission denied"):
                    Caller(folders).answer()


class TestStorageEvents:
    def test_the_answer_is_the_scripts_output_as_it_comes(self, caller, output):
        (output / "file").write_bytes(b"x")
        assert caller.answer(says=[b"out"], err=[b"err"], record=STORED) == b"out"
        assert caller.err.data == b"err"

    def test_nothing_is_recorded(self, caller):
        caller.answer(says=[b"out"], record=STORED)
        assert list(caller.folders.private.iterdir()) == []
