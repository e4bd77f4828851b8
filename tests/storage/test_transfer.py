"""The engine: it retries, verifies, cleans up and tells, whatever a provider does."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from faas_supervisor.errors import (
    Cancelled,
    Failure,
    IntegrityError,
    InvalidPath,
    NoSpace,
    NotFound,
    OutputError,
    StorageError,
    Terminated,
    Throttled,
    Unavailable,
    Unsupported,
)
from faas_supervisor.stop import Stop
from faas_supervisor.storage import ObjectInfo, ObjectRef
from faas_supervisor.storage._retry import Retry
from faas_supervisor.storage._transfer import Transfer
from tests.core.users import nobody
from tests.storage.stand_ins import (
    Atomic,
    Factory,
    Keys,
    OneThread,
    Pinning,
    Shelf,
    Small,
    Undeletable,
    raising,
    store_of,
)

CONTENT = bytes(range(256)) * 10
TIMEOUT = 30
QUICK = Retry(base=0.001, cap=0.001)


class Patience(Stop):
    """A stop event that notes how long it was asked to wait, and does not wait."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def wait(self, timeout=None):
        self.waits.append(timeout)
        return self.is_set()


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


class Bench:
    """An input folder, a private folder, an output file, and an engine."""

    def __init__(self, folder):
        self.input = folder / "input"
        self.private = folder / "private"
        self.input.mkdir()
        self.private.mkdir()
        self.source = folder / "result.txt"
        self.source.write_bytes(CONTENT)
        self.stop = Patience()
        self.engine = Transfer(QUICK, 4, self.stop)

    def download(self, provider, path="a/b", *, size=None, ref=None):
        destination = self.input / "b"
        return self.engine.download(
            store_of(provider), ref or ObjectRef(path), destination, partial=self.private / "partial", size=size
        )

    def upload(self, provider, path="out/result.txt"):
        return self.engine.upload(store_of(provider), self.source, path)

    def nothing_is_left(self):
        return list(self.input.iterdir()) == [] and list(self.private.iterdir()) == []


class TestDownloading:
    def test_a_file_arrives_whole_under_its_name(self, bench):
        done = bench.download(Shelf({"a/b": CONTENT}), size=len(CONTENT))
        assert (bench.input / "b").read_bytes() == CONTENT
        assert list(bench.private.iterdir()) == []
        assert (done.provider, done.path, done.size, done.attempts, done.etag) == (
            "shelf.default", "a/b", len(CONTENT), 1, "e-1",
        )  # fmt: skip
        assert done.checksum.startswith("md5:")

    @pytest.mark.parametrize("error", [NotFound("no"), StorageError("odd"), Unsupported("no")])
    def test_what_stays_is_tried_once(self, bench, error):
        provider = Shelf()
        provider.steps.extend(raising(error))
        with pytest.raises(type(error)) as caught:
            bench.download(provider)
        assert len(provider.calls) == 1
        assert (caught.value.provider, caught.value.path, caught.value.phase) == ("shelf.default", "a/b", "stage in")
        assert bench.nothing_is_left()

    def test_a_passing_fault_is_tried_again_until_it_works(self, bench, caplog):
        caplog.set_level("INFO", "faas_supervisor")
        provider = Shelf({"a/b": CONTENT})
        provider.steps.extend(raising(Unavailable("down"), Throttled("slow down"), Unavailable("down")))
        assert bench.download(provider).attempts == 4
        events = [record.event for record in caplog.records]
        assert events == ["download.retry"] * 3 + ["download.done"]
        assert caplog.records[0].fields.keys() == {"provider", "path", "attempt", "seconds"}
        assert caplog.records[3].fields.keys() == {"provider", "path", "bytes", "seconds", "attempts"}

    def test_it_is_given_up_after_the_last_attempt(self, bench):
        provider = Shelf()
        provider.steps.extend(raising(*[Unavailable("down")] * 20))
        with pytest.raises(Unavailable):
            bench.download(provider)
        assert len(provider.calls) == 8
        assert bench.nothing_is_left()

    def test_the_server_is_given_the_time_that_it_asks_for(self, bench):
        provider = Shelf({"a/b": CONTENT})
        provider.steps.extend(raising(Throttled("slow down", retry_after=77.0)))
        bench.download(provider)
        assert bench.stop.waits == [77.0]

    def test_no_attempt_is_begun_after_the_deadline(self, bench):
        provider = Shelf()
        provider.steps.extend(raising(Throttled("slow down", retry_after=7.0)))
        bench.engine.retry = Retry(deadline=5.0)
        with pytest.raises(Throttled):
            bench.download(provider)
        assert bench.stop.waits == []

    def test_each_attempt_begins_with_nothing(self, bench):
        provider = Shelf({"a/b": CONTENT})

        def break_off(_, source, destination, progress):
            destination.write_bytes(b"x" * 100_000)
            raise Unavailable("cut")

        provider.steps.append(break_off)
        bench.download(provider)
        assert (bench.input / "b").read_bytes() == CONTENT

    def test_the_input_folder_never_shows_a_part(self, bench):
        seen = []

        def look(self, source, destination, progress):
            info = self.give(source, destination, progress)
            seen.extend(bench.input.iterdir())
            assert destination.parent == bench.private
            return info

        provider = Shelf({"a/b": CONTENT})
        provider.steps.append(look)
        bench.download(provider)
        assert seen == []

    def test_another_provider_of_the_same_run_is_not_affected_by_a_retry(self, bench):
        bench.engine.download(
            store_of(Shelf({"x": b"1"})), ObjectRef("x"), bench.input / "x", partial=bench.private / "p", size=1
        )
        bench.download(Shelf({"a/b": CONTENT}))
        assert {path.name for path in bench.input.iterdir()} == {"x", "b"}

    @pytest.mark.parametrize("path", ["../b", "a//b", "a\0b", ""])
    def test_a_hostile_path_never_reaches_the_provider(self, bench, path):
        provider = Shelf()
        with pytest.raises(InvalidPath, match=r"shelf\.default.*during stage in") as caught:
            bench.download(provider, ref=ObjectRef(path))
        assert caught.value.failure is Failure.EVENT
        assert provider.calls == []

    def test_an_opaque_key_reaches_the_provider_as_it_is(self, bench):
        provider = Keys({"bucket/y/../z": CONTENT})
        bench.download(provider, "bucket/y/../z")
        assert provider.calls == [("download", ObjectRef("bucket/y/../z"))]


class TestVerifyingADownload:
    @pytest.mark.parametrize(
        "wrong",
        [CONTENT[:-1], CONTENT + b"x", b"", CONTENT[:-1] + b"\0"],
        ids=["shorter", "longer", "nothing", "other-bytes"],
    )
    def test_wrong_bytes_are_tried_again_once(self, bench, wrong):
        def give_wrong(self, source, destination, progress):
            destination.write_bytes(wrong)
            return self.stat(source.path)

        provider = Shelf({"a/b": CONTENT})
        provider.steps.append(give_wrong)
        assert bench.download(provider).attempts == 2
        provider.steps.extend([give_wrong] * 5)
        provider.calls.clear()
        with pytest.raises(IntegrityError) as caught:
            bench.download(provider)
        assert caught.value.failure is Failure.INTEGRITY
        assert len(provider.calls) == 2

    def test_nothing_of_wrong_bytes_is_left(self, bench):
        def give_wrong(self, source, destination, progress):
            destination.write_bytes(b"wrong")
            return self.stat(source.path)

        provider = Shelf({"a/b": CONTENT})
        provider.steps.extend([give_wrong] * 2)
        with pytest.raises(IntegrityError):
            bench.download(provider)
        assert bench.nothing_is_left()

    def test_a_provider_that_writes_nothing_is_found_out(self, bench):
        def give_nothing(self, source, destination, progress):
            return self.stat(source.path)

        provider = Shelf({"a/b": CONTENT})
        provider.steps.extend([give_nothing] * 2)
        with pytest.raises(StorageError):
            bench.download(provider)
        assert bench.nothing_is_left()

    def test_another_size_than_the_events_is_a_changed_object(self, bench):
        with pytest.raises(NotFound, match="changed since the event.*5 bytes; it now has 2560") as caught:
            bench.download(Shelf({"a/b": CONTENT}), size=5)
        assert caught.value.failure is Failure.INPUT_MISSING
        assert bench.nothing_is_left()

    @pytest.mark.parametrize("ref", [ObjectRef("a/b", version="v"), ObjectRef("a/b", etag="e-1")])
    def test_a_pinned_object_is_what_the_pin_says(self, bench, ref):
        assert bench.download(Pinning({"a/b": CONTENT}), ref=ref, size=5).size == len(CONTENT)

    def test_without_a_pin_the_size_counts_also_where_pins_are_known(self, bench):
        with pytest.raises(NotFound, match="changed"):
            bench.download(Pinning({"a/b": CONTENT}), size=5)

    def test_a_pin_that_the_store_does_not_know_proves_nothing(self, bench):
        with pytest.raises(NotFound, match="changed"):
            bench.download(Shelf({"a/b": CONTENT}), ref=ObjectRef("a/b", version="v"), size=5)

    def test_an_empty_object_of_an_event_that_says_so_is_right(self, bench):
        assert bench.download(Shelf({"a/b": b""}), size=0).size == 0
        with pytest.raises(NotFound, match="changed"):
            bench.download(Shelf({"a/b": CONTENT}), size=0)


@pytest.fixture(scope="module")
def tiny_disk(tmp_path_factory):
    """A file system of 64 KiB."""
    folder = tmp_path_factory.mktemp("tiny")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=False, capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"NOT TESTED: a full disk; only root can mount a tmpfs here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


class TestSpace:
    @pytest.fixture
    def full(self, tiny_disk, tmp_path):
        bench = Bench(tmp_path)
        bench.private = tiny_disk
        return bench

    def test_what_does_not_fit_is_refused_before_a_byte(self, full):
        content = b"x" * 200_000
        provider = Shelf({"a/b": content})
        written = []

        def announce(self, source, destination, progress):
            progress.start(len(content))
            written.append(destination)
            return self.give(source, destination, progress)

        provider.steps.append(announce)
        with pytest.raises(NoSpace, match=r"download shelf.default a/b: 200000 bytes are needed") as caught:
            full.download(provider)
        assert caught.value.failure is Failure.NO_SPACE
        assert written == []
        assert len(provider.calls) == 1
        assert full.nothing_is_left()

    def test_a_disk_that_fills_up_on_the_way_is_no_fault_of_the_server(self, full):
        def fill(self, source, destination, progress):
            progress.start(None)
            destination.write_bytes(b"x" * 200_000)

        provider = Shelf({"a/b": b""})
        provider.steps.append(fill)
        with pytest.raises(NoSpace, match="the local disk is full") as caught:
            full.download(provider)
        assert caught.value.__cause__.errno == errno.ENOSPC
        assert len(provider.calls) == 1
        assert full.nothing_is_left()

    def test_what_a_failed_attempt_left_does_not_count_as_used(self, full):
        content = b"x" * 40_000

        def break_off(self, source, destination, progress):
            destination.write_bytes(content)
            raise Unavailable("cut")

        provider = Shelf({"a/b": content})
        provider.steps.append(break_off)
        full.input = full.private
        assert full.download(provider).attempts == 2
        (full.input / "b").unlink()

    def test_an_upload_needs_no_room_here(self, bench):
        class Boasting(Shelf):
            def take(self, source, path, progress):
                progress.start(10**18)
                return super().take(source, path, progress)

        assert bench.upload(Boasting()).size == len(CONTENT)


class TestUploading:
    def test_a_file_arrives_whole(self, bench):
        provider = Shelf()
        done = bench.upload(provider)
        assert provider.objects == {"out/result.txt": CONTENT}
        assert (done.path, done.size, done.attempts) == ("out/result.txt", len(CONTENT), 1)

    def test_an_empty_file_arrives(self, bench):
        bench.source.write_bytes(b"")
        provider = Shelf()
        bench.upload(provider)
        assert provider.objects == {"out/result.txt": b""}

    def test_a_passing_fault_is_tried_again(self, bench):
        provider = Shelf()
        provider.steps.extend(raising(Unavailable("down")))
        assert bench.upload(provider).attempts == 2

    def test_a_failure_says_where_and_when(self, bench):
        provider = Shelf()
        provider.steps.extend(raising(NotFound("there is no such bucket")))
        with pytest.raises(NotFound, match=r"shelf.default out/result.txt during stage out: there is no") as caught:
            bench.upload(provider)
        assert caught.value.failure is Failure.OUTPUT

    def test_a_name_that_the_store_can_not_hold_is_an_output_failure(self, bench):
        provider = Shelf()
        with pytest.raises(InvalidPath, match=r"shelf\.default.*during stage out.*UTF-8") as caught:
            bench.upload(provider, os.fsdecode(b"out/\xff"))
        assert caught.value.failure is Failure.OUTPUT
        assert provider.calls == []

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda path: path.unlink(),
            lambda path: (path.unlink(), path.mkdir()),
            lambda path: (path.unlink(), os.mkfifo(path)),
            lambda path: (path.unlink(), path.symlink_to("/dev/null")),
            lambda path: (path.unlink(), path.symlink_to("nowhere")),
        ],
        ids=["missing", "folder", "fifo", "device", "dangling"],
    )
    def test_what_is_no_readable_file_is_an_output_error(self, bench, spoil):
        spoil(bench.source)
        provider = Shelf()
        with pytest.raises(OutputError, match=r"result\.txt"):
            bench.upload(provider)
        assert provider.calls == []

    def test_a_file_without_permission_is_an_output_error(self, bench):
        with tempfile.TemporaryDirectory() as folder, nobody(Path(folder)):
            bench.source = Path(folder, "result.txt")
            bench.source.write_bytes(b"x")
            assert bench.upload(Shelf()).size == 1
            bench.source.chmod(0)
            with pytest.raises(OutputError, match="can't be read: Permission denied"):
                bench.upload(Shelf())

    def test_a_file_above_the_stores_limit_is_refused(self, bench):
        with pytest.raises(OutputError, match="2560 bytes; shelf.default takes at most 10"):
            bench.upload(Small())
        bench.source.write_bytes(b"x" * 10)
        assert bench.upload(Small()).size == 10


class TestVerifyingAnUpload:
    @pytest.mark.parametrize("kind", [Shelf, Atomic])
    @pytest.mark.parametrize("spoilt", [CONTENT[:-1], b"x" * len(CONTENT)], ids=["shorter", "other-bytes"])
    def test_a_wrong_object_is_removed_and_tried_again_once(self, bench, spoilt, kind):
        def take_wrong(self, source, path, progress):
            self.take(source, path, progress)
            self.objects[path] = spoilt
            return self.stat(path)

        provider = kind()
        provider.steps.append(take_wrong)
        assert bench.upload(provider).attempts == 2
        assert provider.objects == {"out/result.txt": CONTENT}
        provider.steps.extend([take_wrong] * 5)
        with pytest.raises(IntegrityError) as caught:
            bench.upload(provider)
        assert caught.value.failure is Failure.INTEGRITY
        assert provider.objects == {}

    def test_a_part_that_may_be_seen_is_removed(self, bench):
        def break_off(self, source, path, progress):
            self.objects[path] = b"part"
            progress.advance(4)
            raise StorageError("broken for good")

        provider = Shelf()
        provider.steps.append(break_off)
        with pytest.raises(StorageError):
            bench.upload(provider)
        assert provider.objects == {}

    def test_the_old_object_stays_if_not_a_byte_has_moved(self, bench):
        provider = Shelf({"out/result.txt": b"old"})
        provider.steps.extend(raising(StorageError("refused at once")))
        with pytest.raises(StorageError):
            bench.upload(provider)
        assert provider.objects == {"out/result.txt": b"old"}

    def test_the_old_object_stays_where_uploads_are_atomic(self, bench):
        def break_off(self, source, path, progress):
            progress.start(10)
            progress.advance(4)
            raise StorageError("broken for good")

        provider = Atomic({"out/result.txt": b"old"})
        provider.steps.append(break_off)
        with pytest.raises(StorageError):
            bench.upload(provider)
        assert provider.objects == {"out/result.txt": b"old"}

    def test_a_store_that_can_not_delete_is_not_asked_to(self, bench):
        def break_off(self, source, path, progress):
            progress.advance(4)
            raise StorageError("broken for good")

        provider = Undeletable()
        provider.steps.append(break_off)
        with pytest.raises(StorageError, match="broken for good"):
            bench.upload(provider)
        assert [operation for operation, _ in provider.calls] == ["upload"]

    @pytest.mark.parametrize("fault", [Unavailable("down"), ZeroDivisionError("odd"), Unsupported("no")])
    def test_removing_may_fail_and_the_uploads_failure_is_told(self, bench, fault):
        class Stuck(Shelf):
            def delete(self, path):
                raise fault

        def break_off(self, source, path, progress):
            progress.advance(4)
            raise StorageError("broken for good")

        provider = Stuck()
        provider.steps.append(break_off)
        with pytest.raises(StorageError, match="broken for good"):
            bench.upload(provider)


class TestStopping:
    @pytest.mark.parametrize("way", ["download", "upload"])
    def test_a_transfer_ends_at_its_next_piece(self, bench, way):
        moved = []

        class Stopping(Shelf):
            def note(self, progress):
                class Noting:
                    start = progress.start

                    def advance(self, n):
                        moved.append(n)
                        bench.stop.set()
                        progress.advance(n)

                return Noting()

            def give(self, source, destination, progress):
                return super().give(source, destination, self.note(progress))

            def take(self, source, path, progress):
                return super().take(source, path, self.note(progress))

        provider = Stopping({"a/b": CONTENT})
        with pytest.raises(Terminated) as caught:
            getattr(bench, way)(provider)
        assert isinstance(caught.value.__cause__, Cancelled)
        assert len(moved) == 1
        assert bench.nothing_is_left()

    def test_nothing_moves_any_more_once_it_is_stopped(self, bench):
        bench.stop.set()
        provider = Shelf({"a/b": CONTENT})
        with pytest.raises(Terminated):
            bench.download(provider)
        assert bench.nothing_is_left()

    def test_a_wait_between_two_attempts_ends_too(self, bench):
        class StoppedWhileWaiting(Patience):
            def wait(self, timeout=None):
                self.set()
                return True

        bench.engine.stop = StoppedWhileWaiting()
        provider = Shelf()
        provider.steps.extend(raising(*[Unavailable("down")] * 5))
        with pytest.raises(Terminated, match="stopped during stage in"):
            bench.download(provider)
        assert len(provider.calls) == 1

    def test_a_part_that_was_uploaded_is_removed(self, bench):
        def stop_then_go_on(self, source, path, progress):
            progress.advance(1)
            self.objects[path] = b"part"
            bench.stop.set()
            progress.advance(1)

        provider = Shelf()
        provider.steps.append(stop_then_go_on)
        with pytest.raises(Terminated):
            bench.upload(provider)
        assert provider.objects == {}


class TestPluginsThatMisbehave:
    @pytest.mark.parametrize(
        "error",
        [KeyError("x"), ConnectionResetError("cut"), RuntimeError(), UnicodeDecodeError("utf-8", b"x", 0, 1, "y")],
    )
    @pytest.mark.parametrize("way", ["download", "upload"])
    def test_any_exception_comes_out_as_ours_with_its_cause(self, bench, error, way):
        provider = Shelf()
        provider.steps.extend(raising(error))
        with pytest.raises(StorageError, match=type(error).__name__) as caught:
            getattr(bench, way)(provider)
        assert caught.value.__cause__ is error
        assert caught.value.provider == "shelf.default"
        assert len([call for call in provider.calls if call[0] == way]) == 1
        assert bench.nothing_is_left()

    @pytest.mark.parametrize("answer", ["nonsense", 7])
    def test_an_answer_that_is_none_comes_out_as_ours(self, bench, answer):
        provider = Shelf()
        provider.steps.append(lambda *_: answer)
        with pytest.raises(StorageError, match="the plugin raised AttributeError"):
            bench.upload(provider)

    def test_one_that_buries_our_wish_to_stop_does_not_go_on_for_ever(self, bench):
        def bury(self, source, destination, progress):
            bench.stop.set()
            try:
                progress.advance(1)
            except Exception as error:
                raise Unavailable("something happened") from error

        provider = Shelf()
        provider.steps.extend([bury] * 5)
        with pytest.raises(Terminated):
            bench.download(provider)
        assert len(provider.calls) == 1


class TestDeadStores:
    def dead(self):
        provider = Shelf()
        provider.steps.extend(raising(*[Unavailable("no route")] * 100))
        return provider

    def test_one_that_was_given_up_is_not_tried_again_for_the_next_file(self, bench):
        provider = self.dead()
        for _ in range(3):
            with pytest.raises(Unavailable, match="no route") as caught:
                bench.upload(provider)
        assert len(provider.calls) == 8
        assert "given up already" in str(caught.value)
        assert caught.value.failure is Failure.STORAGE_UNAVAILABLE

    def test_other_stores_are_not_concerned(self, bench):
        with pytest.raises(Unavailable):
            bench.upload(self.dead())
        healthy = Shelf()
        bench.engine.upload(store_of(healthy, "shelf.other"), bench.source, "x")
        assert healthy.objects == {"x": CONTENT}

    def test_a_store_where_others_succeed_meanwhile_is_not_dead(self, bench):
        """One object may make a server fail that serves all others."""
        provider = Shelf()

        def fail_while_another_works(self, source, path, progress):
            bench.engine.upload(store_of(Shelf()), bench.source, "another")
            raise Unavailable("this one breaks me", retryable=False)

        provider.steps.append(fail_while_another_works)
        with pytest.raises(Unavailable):
            bench.upload(provider)
        assert bench.upload(provider).attempts == 1

    def test_a_server_that_is_busy_is_not_dead(self, bench):
        provider = Shelf()
        provider.steps.extend(raising(*[Throttled("slow down")] * 8))
        with pytest.raises(Throttled):
            bench.upload(provider)
        assert bench.upload(provider).attempts == 1


class TestThreads:
    def test_an_unsafe_provider_is_used_by_one_thread_only(self, bench):
        class Guarded(OneThread):
            def upload(self, source, path, progress):
                assert threading.get_ident() == self.thread
                return super().upload(source, path, progress)

        from faas_supervisor.storage._store import Store

        factory = Factory(Guarded)
        store = Store("shelf.a", factory)
        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda n: bench.engine.upload(store, bench.source, f"x/{n}"), range(40)))
        assert len(done) == len(factory.objects) == 40


class TestWatching:
    def test_a_watcher_is_told_of_every_piece(self, bench):
        told = []
        bench.engine.watch = lambda *what: told.append(what)
        bench.download(Shelf({"a/b": b"123456"}))
        assert told == [("download shelf.default a/b", moved, 6) for moved in (0, 3, 6)]

    def test_names_with_line_breaks_are_told_on_one_line(self, bench, caplog):
        caplog.set_level("INFO", "faas_supervisor")
        bench.download(Keys({"b/a\nERROR - forged": b"1"}), "b/a\nERROR - forged")
        assert "\n" not in caplog.records[-1].getMessage()


def test_an_object_info_of_a_provider_is_enough(bench):
    """A store without etag and checksums is verified by size alone."""
    provider = Shelf()
    provider.steps.append(lambda *_: ObjectInfo("p", len(CONTENT)))
    done = bench.upload(provider)
    assert (done.etag, done.checksum) == (None, None)
