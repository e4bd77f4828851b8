"""Outputs while the script runs: finished files go up at once, unfinished ones wait, and nothing goes twice."""

from __future__ import annotations

import errno
import os
import threading
import time

import pytest

from faas_supervisor import stream as module
from faas_supervisor.config import Output
from faas_supervisor.errors import PermissionDenied, Unavailable
from faas_supervisor.planning import Run
from faas_supervisor.report import RunReport
from faas_supervisor.staging import stage_out, streaming
from faas_supervisor.stop import Stop
from faas_supervisor.storage._retry import Retry
from faas_supervisor.storage._transfer import Transfer
from faas_supervisor.workspace import Workspace
from tests.storage.stand_ins import Shelf, raising, store_of

EVERYTHING = (Output("shelf.default", "out"),)
_PATIENCE = 20.0


class Writer:
    """Plays the script: writes into the stream folder of one run, whose outputs go to a shelf."""

    def __init__(self, folders):
        self.folders = folders
        self.folder = folders.output / "stream"
        self.shelf = Shelf()
        self.stop = Stop()
        self.transfer = Transfer(Retry(attempts=1), 4, self.stop)
        self.report = RunReport("run")

    def open(self, name):
        return store_of(self.shelf, name)

    def streaming(self, outputs=EVERYTHING):
        run = Run((), outputs)
        return streaming("stream", run, self.folders, stores=self, transfer=self.transfer, report=self.report)

    def stage_out(self, stream, outputs=EVERYTHING):
        stage_out(Run((), outputs), self.folders, self, self.transfer, self.report, stream=stream)

    def put(self, name, content):
        """Write a file elsewhere, and rename it into the folder."""
        elsewhere = self.folders.output / "being-written"
        elsewhere.write_bytes(content)
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        elsewhere.rename(self.folder / name)

    def uploads(self):
        return [path for operation, path in self.shelf.calls if operation == "upload"]

    def wait_for(self, *paths):
        deadline = time.monotonic() + _PATIENCE
        while not {f"out/stream/{path}" for path in paths} <= self.shelf.objects.keys():
            assert time.monotonic() < deadline, self.shelf.objects.keys()
            time.sleep(0.01)

    def wait_for_looks(self, stream, count=4):
        """Let the folder be looked through a few times."""
        looks = threading.Semaphore(0)
        look = stream._look

        def counted():
            looks.release()
            return look()

        stream._look = counted
        for _ in range(count):
            assert looks.acquire(timeout=_PATIENCE)


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(module, "_PAUSE", 0.02)
    monkeypatch.setattr(module, "_AGAIN", 0.02)


@pytest.fixture
def writer(tmp_path):
    with Workspace({"TMPDIR": str(tmp_path)}) as workspace, workspace.folders(1) as folders:
        yield Writer(folders)


def test_a_file_that_was_renamed_into_the_folder_goes_up_while_the_script_runs(writer):
    with writer.streaming() as stream:
        stream.started(1)
        writer.put("a.txt", b"first")
        writer.put("deep/er/b.txt", b"second")
        writer.wait_for("a.txt", "deep/er/b.txt")
    assert writer.shelf.objects == {"out/stream/a.txt": b"first", "out/stream/deep/er/b.txt": b"second"}
    assert (writer.report.outputs.files, writer.report.outputs.bytes) == (2, 11)


def test_nothing_goes_up_twice(writer):
    with writer.streaming() as stream:
        stream.started(1)
        writer.put("a.txt", b"first")
        writer.wait_for("a.txt")
        (writer.folders.output / "b.txt").write_text("at the end")
    writer.stage_out(stream)
    assert writer.uploads() == ["out/stream/a.txt", "out/b.txt"]
    assert not writer.report.failed
    assert writer.report.warnings == []


def test_a_file_that_a_process_still_writes_waits(writer):
    with writer.streaming() as stream:
        stream.started(1)
        with (writer.folder / "a.txt").open("wb") as file:
            file.write(b"half")
            file.flush()
            writer.wait_for_looks(stream)
            assert writer.shelf.objects == {}
            file.write(b" and half")
        writer.wait_for("a.txt")
    assert writer.shelf.objects == {"out/stream/a.txt": b"half and half"}


def test_where_the_file_system_knows_no_leases_two_looks_have_to_do(writer, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EINVAL, "no leases here")

    monkeypatch.setattr(module.fcntl, "fcntl", refuse)
    with writer.streaming() as stream:
        stream.started(1)
        with (writer.folder / "a.txt").open("wb") as file:
            file.write(b"as it was for two looks")
            file.flush()
            writer.wait_for("a.txt")


def test_a_file_that_changed_since_goes_up_again(writer):
    with writer.streaming() as stream:
        stream.started(1)
        writer.put("a.txt", b"old")
        writer.wait_for("a.txt")
        writer.put("a.txt", b"newer")
    writer.stage_out(stream)
    assert writer.shelf.objects["out/stream/a.txt"] == b"newer"


def test_what_is_left_at_the_end_goes_up_then(writer):
    with writer.streaming() as stream:
        stream.started(1)
        (writer.folder / "a.txt").write_text("too late for a look")
    writer.stage_out(stream)
    assert writer.shelf.objects == {"out/stream/a.txt": b"too late for a look"}
    assert writer.uploads() == ["out/stream/a.txt"]


def test_every_output_gets_what_it_wants(writer):
    outputs = (
        Output("shelf.default", "out", prefix=("stream/a",)),
        Output("shelf.default", "out/text", suffix=(".txt",)),
        Output("shelf.default", "images", suffix=(".png",)),
    )
    with writer.streaming(outputs) as stream:
        stream.started(1)
        writer.put("a.txt", b"a")
        writer.put("b.csv", b"b")
        writer.wait_for("a.txt")
    writer.stage_out(stream, outputs)
    assert sorted(writer.uploads()) == ["out/stream/a.txt", "out/text/stream/a.txt"]
    assert [warning.split(" (")[0] for warning in writer.report.warnings] == [
        "stream/b.csv is not uploaded: it matches no output",
        "0 files matched the output shelf.default images",
    ]


def test_a_required_output_is_content_with_what_went_up_meanwhile(writer):
    outputs = (Output("shelf.default", "out", required=True),)
    with writer.streaming(outputs) as stream:
        stream.started(1)
        writer.put("a.txt", b"a")
        writer.wait_for("a.txt")
        (writer.folder / "a.txt").unlink()
    writer.stage_out(stream, outputs)
    assert not writer.report.failed


def test_an_upload_that_fails_is_warned_about_and_tried_again(writer):
    writer.shelf.steps.extend(raising(PermissionDenied("not yet")))
    with writer.streaming() as stream:
        stream.started(1)
        writer.put("a.txt", b"a")
        writer.wait_for("a.txt")
    writer.stage_out(stream)
    assert writer.uploads() == ["out/stream/a.txt"] * 2
    assert not writer.report.failed
    (warning,) = writer.report.warnings
    assert warning.startswith("stream/a.txt is not uploaded yet, and will be tried again: permission denied")


def test_a_store_that_was_down_meanwhile_is_asked_again_at_stage_out(writer, monkeypatch):
    monkeypatch.setattr(module, "_AGAIN", 600.0)
    writer.shelf.steps.extend(raising(Unavailable("down")))
    with writer.streaming() as stream:
        stream.started(1)
        writer.put("a.txt", b"a")
        writer.wait_for_looks(stream, 6)
    assert len(writer.uploads()) == 1
    writer.stage_out(stream)
    assert writer.shelf.objects == {"out/stream/a.txt": b"a"}
    assert not writer.report.failed


@pytest.mark.parametrize("what", ["link", "linked folder", "fifo"])
def test_what_is_no_file_waits_for_stage_out(writer, tmp_path, what):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    with writer.streaming() as stream:
        stream.started(1)
        match what:
            case "link":
                (writer.folder / "a").symlink_to(secret / "key")
            case "linked folder":
                writer.folder.rmdir()
                writer.folder.symlink_to(secret)
            case "fifo":
                os.mkfifo(writer.folder / "a")
        writer.wait_for_looks(stream)
    assert writer.uploads() == []


def test_a_name_that_becomes_a_link_after_a_look_leads_nowhere(writer, tmp_path):
    """The script still runs, so names that were looked at mean nothing; the file that was opened counts."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "a").write_text("secret")
    writer.folder.mkdir()
    (writer.folder / "deep").mkdir()
    (writer.folder / "deep" / "a").write_text("secret")
    file = writer.folder / "deep" / "a"
    ready = module._Ready(file, "stream/deep/a", 0, EVERYTHING[0], module._Mark.of(file.lstat()))
    with module._finished(ready, writer.folders.output) as opened:
        assert opened is not None
    file.rename(secret / "a")  # the very file, but elsewhere
    (writer.folder / "deep").rmdir()
    (writer.folder / "deep").symlink_to(secret)
    with module._finished(ready, writer.folders.output) as opened:
        assert opened is None


def test_the_folder_may_go_and_come_again(writer):
    with writer.streaming() as stream:
        stream.started(1)
        writer.folder.rmdir()
        writer.wait_for_looks(stream)
        writer.put("a.txt", b"a")
        writer.wait_for("a.txt")


def test_more_files_than_are_remembered_wait_for_the_end(writer, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 10)
    with writer.streaming() as stream:
        stream.started(1)
        for number in range(30):
            writer.put(f"{number}", b"x")
        writer.wait_for_looks(stream, 12)
    before = len(writer.uploads())
    assert 0 < before <= 10
    writer.stage_out(stream)
    assert len(writer.uploads()) == 30
    assert len(writer.shelf.objects) == 30


def test_an_end_of_the_invocation_ends_it(writer):
    held = threading.Event()

    def hold(shelf, source, path, progress):
        held.set()
        writer.stop.wait(_PATIENCE)
        progress.advance(1)

    writer.shelf.steps.append(hold)
    with writer.streaming() as stream:
        stream.started(1)
        writer.put("a.txt", b"a")
        assert held.wait(_PATIENCE)
        writer.stop.set()
    assert writer.shelf.objects == {}
    assert not [thread for thread in threading.enumerate() if thread.name in {"stream", "transfer"}]


def test_without_the_key_or_outputs_there_is_none(writer):
    def stream_of(name, outputs):
        run = Run((), outputs)
        return streaming(name, run, writer.folders, stores=writer, transfer=writer.transfer, report=writer.report)

    with stream_of("", EVERYTHING) as stream:
        assert stream is None
    with stream_of("stream", ()) as stream:
        assert stream is None
    assert not writer.folder.exists()
