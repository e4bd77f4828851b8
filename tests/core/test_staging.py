"""Inputs in, outputs out: one file that fails stops no other, and no hostile name leaves its folder."""

from __future__ import annotations

import os
import threading

import pytest

from faas_supervisor.config import Output
from faas_supervisor.errors import (
    EventError,
    Failure,
    NoSpace,
    NotFound,
    PermissionDenied,
    Terminated,
    Unavailable,
)
from faas_supervisor.events import Record
from faas_supervisor.planning import Item, Run, Source
from faas_supervisor.report import RunReport
from faas_supervisor.staging import stage_in, stage_out
from faas_supervisor.stop import Stop
from faas_supervisor.storage import ObjectRef
from faas_supervisor.storage._retry import Retry
from faas_supervisor.storage._transfer import Transfer
from faas_supervisor.workspace import Workspace
from tests.storage.stand_ins import Shelf, raising, store_of


class Stage:
    """One run's folders, one store, and an engine."""

    def __init__(self, folders):
        self.folders = folders
        self.shelf = Shelf()
        self.stop = Stop()
        self.transfer = Transfer(Retry(attempts=2, base=0.001), 4, self.stop)
        self.report = RunReport("run")

    def open(self, name):
        return store_of(self.shelf, name)

    def bring(self, *items):
        return stage_in(Run(items, ()), self.folders, self, self.transfer, self.report)

    def take(self, *outputs):
        stage_out(Run((), outputs), self.folders, self, self.transfer, self.report)


@pytest.fixture
def stage(tmp_path):
    with Workspace({"TMPDIR": str(tmp_path)}) as workspace, workspace.folders(1) as folders:
        yield Stage(folders)


def file(path, *, size=None, name=None):
    name = path.rpartition("/")[2] if name is None else name
    record = Record(name, provider="shelf.default", path=path, size=size)
    return Item(record, name, Source("shelf.default", ObjectRef(path), size))


def payload(data, name="event-file"):
    return Item(Record(name, data=data), name, None)


class TestIn:
    def test_a_file_is_brought(self, stage):
        stage.shelf.objects["in/a b.txt"] = b"content"
        (path,) = stage.bring(file("in/a b.txt", size=7))
        assert path == stage.folders.input / "a b.txt"
        assert path.read_bytes() == b"content"
        assert (stage.report.inputs.files, stage.report.inputs.bytes) == (1, 7)

    def test_a_payload_is_written_as_it_is(self, stage):
        (path,) = stage.bring(payload(b"\0\xff" * 1000))
        assert path.read_bytes() == b"\0\xff" * 1000
        assert path.stat().st_mode & 0o777 == 0o600

    def test_an_empty_payload_is_a_file_too(self, stage):
        (path,) = stage.bring(payload(b""))
        assert path.read_bytes() == b""

    def test_what_stays_where_it_is_is_no_path(self, stage):
        record = Record("a", provider="shelf.default", path="in/a")
        assert stage.bring(Item(record, "a", None)) == ()

    def test_several_are_brought_at_once_in_the_events_order(self, stage):
        stage.shelf.objects = {f"in/{number}": b"x" * number for number in range(20)}
        paths = stage.bring(*(file(f"in/{number}", size=number) for number in range(20)))
        assert [path.name for path in paths] == [str(number) for number in range(20)]
        assert [path.stat().st_size for path in paths] == list(range(20))

    @pytest.mark.parametrize("name", ["..", "../x", "/etc/x", "a\0b", "x" * 256, ""], ids=ascii)
    def test_a_hostile_name_is_refused_before_anything_moves(self, stage, name):
        with pytest.raises(EventError):
            stage.bring(file("in/x", name=name))
        with pytest.raises(EventError):
            stage.bring(payload(b"x", name=name))
        assert stage.shelf.calls == []
        assert list(stage.folders.input.iterdir()) == []

    def test_one_that_is_too_large_is_refused_before_anything_moves(self, stage):
        with pytest.raises(NoSpace) as caught:
            stage.bring(file("in/x", size=10**18))
        assert caught.value.failure is Failure.NO_SPACE
        assert stage.shelf.calls == []

    def test_several_that_are_too_large_together_are_refused_before_anything_moves(self, stage):
        with pytest.raises(NoSpace):
            stage.bring(*(file(f"in/{number}", size=10**16) for number in range(100)))
        assert stage.shelf.calls == []

    def test_several_that_are_too_large_only_together_are_refused_too(self, stage):
        free = os.statvfs(stage.folders.input)
        most = free.f_bavail * free.f_frsize * 2 // 3
        with pytest.raises(NoSpace):
            stage.bring(file("in/a", size=most), file("in/b", size=most))
        assert stage.shelf.calls == []

    def test_a_missing_one_fails_the_run_and_not_the_invocation(self, stage):
        """The invocation's `stop` would end all its other runs, too."""
        stage.shelf.objects = {f"in/{number}": b"x" for number in range(20) if number != 3}
        with pytest.raises(NotFound, match="in/3"):
            stage.bring(*(file(f"in/{number}") for number in range(20)))
        assert not stage.stop.is_set()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("transfer")]


class TestOut:
    @pytest.fixture
    def written(self, stage):
        (stage.folders.output / "deep").mkdir()
        for name in ("a.txt", "b.txt", "deep/c.txt", "d.png"):
            (stage.folders.output / name).write_text(name)
        return stage

    def test_every_file_goes_to_every_output_that_wants_it(self, written):
        written.take(Output("shelf.a", "all"), Output("shelf.b", "", suffix=(".png",)))
        assert set(written.shelf.objects) == {"all/a.txt", "all/b.txt", "all/deep/c.txt", "all/d.png", "d.png"}
        assert written.report.outputs.files == 5
        assert not written.report.failed

    def test_one_that_fails_does_not_stop_the_others(self, written):
        written.shelf.steps.extend(raising(PermissionDenied("not this one")))
        written.take(Output("shelf.a", "all"))
        assert len(written.shelf.objects) == 3
        result = written.report.result()
        assert (result.status, result.failure, result.outputs.files) == ("failed", Failure.CREDENTIALS, 3)
        assert not written.stop.is_set()

    def test_each_failure_is_logged_once_with_its_file(self, written, caplog):
        written.shelf.steps.extend(raising(*[PermissionDenied("not yours")] * 4))
        written.take(Output("shelf.a", "all"))
        failed = [record for record in caplog.records if record.event == "upload.failed"]
        assert {record.fields["file"] for record in failed} == {"a.txt", "b.txt", "deep/c.txt", "d.png"}
        assert len(caplog.records) == 4

    def test_a_required_output_that_nothing_matched_fails_after_all_uploads(self, written):
        written.take(Output("shelf.a", "x", suffix=(".csv",), required=True), Output("shelf.a", "all"))
        assert len(written.shelf.objects) == 4
        assert written.report.result().failure is Failure.OUTPUT
        assert not written.stop.is_set()

    def test_a_name_that_is_not_utf8_is_an_error_that_names_it(self, stage):
        open(bytes(stage.folders.output) + b"/a\xff", "wb").close()  # noqa: PTH123
        stage.take(Output("shelf.a", "all"))
        result = stage.report.result()
        assert result.failure is Failure.OUTPUT
        assert "all/a\\udcff" in result.reason

    def test_an_output_folder_that_is_gone_is_an_output_failure(self, stage):
        stage.folders.output.rmdir()
        stage.take(Output("shelf.a", "all"))
        assert stage.report.result().failure is Failure.OUTPUT

    def test_a_store_that_is_down_is_given_up_once(self, stage):
        for number in range(50):
            (stage.folders.output / str(number)).touch()
        stage.shelf.steps.extend(raising(*[Unavailable("down")] * 500))
        stage.take(Output("shelf.a", "all"))
        assert stage.report.result().failure is Failure.STORAGE_UNAVAILABLE
        assert len(stage.shelf.calls) < 20

    def test_a_stop_ends_it_and_leaves_no_thread(self, written):
        written.stop.set()
        with pytest.raises(Terminated) as caught:
            written.take(Output("shelf.a", "all"))
        assert written.report.outputs.files == 0
        # The error is kept for the result, and with it whatever its traceback holds.
        assert caught.value.__traceback__ is not None
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("transfer")]
