"""What is there already is not uploaded again; but only where the store proves it, and where it was asked for."""

from __future__ import annotations

from typing import ClassVar

import pytest

from faas_supervisor.errors import Unavailable
from faas_supervisor.stop import Stop
from faas_supervisor.storage import Capabilities, ObjectInfo
from faas_supervisor.storage._retry import Retry
from faas_supervisor.storage._transfer import Transfer
from tests.storage.stand_ins import Shelf, store_of


@pytest.fixture
def source(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"content")
    return file


class Forgetful(Shelf):
    """A store that tells no checksums."""

    capabilities: ClassVar[Capabilities] = Capabilities()

    def stat(self, path):
        return ObjectInfo(path, len(self.objects[path]), etag="e-1")


class Proving(Forgetful):
    """A store that tells none either, but whose ETags prove something."""

    def same(self, source, info):
        return info.etag == "e-1" and source.read_bytes() == self.objects[info.path]


def upload(shelf, source, *, skip_existing=False, unless_there=True):
    engine = Transfer(Retry(), 1, Stop(), skip_existing=skip_existing)
    return engine.upload(store_of(shelf), source, "a", unless_there=unless_there)


@pytest.mark.parametrize("kind", [Shelf, Proving])
def test_the_same_bytes_are_not_sent_again(source, caplog, kind):
    shelf = kind({"a": b"content"})
    with caplog.at_level("INFO", "faas_supervisor"):
        done = upload(shelf, source)
    assert shelf.calls == []
    assert (done.skipped, done.attempts, done.size) == (True, 0, 7)
    (told,) = caplog.records
    assert told.event == "upload.skipped"
    assert told.fields == {"provider": "shelf.default", "path": "a", "bytes": 7}


@pytest.mark.parametrize("there", [{"a": b"CONTENT"}, {"a": b"content and more"}, {}], ids=["other", "longer", "none"])
@pytest.mark.parametrize("kind", [Shelf, Proving])
def test_other_bytes_are_replaced(source, kind, there):
    shelf = kind(dict(there))
    done = upload(shelf, source)
    assert (done.skipped, done.attempts) == (False, 1)
    assert shelf.objects == {"a": b"content"}


def test_what_nothing_proves_is_sent_again(source):
    shelf = Forgetful({"a": b"content"})
    assert not upload(shelf, source).skipped
    assert shelf.calls == [("upload", "a")]


def test_an_empty_file_needs_a_proof_too(tmp_path):
    (tmp_path / "empty").touch()
    assert not upload(Forgetful({"a": b""}), tmp_path / "empty").skipped
    assert upload(Shelf({"a": b""}), tmp_path / "empty").skipped


def test_nobody_asks_unless_told_to(source):
    class Silent(Shelf):
        def stat(self, path):
            assert self.calls, "asked before the upload"
            return super().stat(path)

    assert not upload(Silent({"a": b"content"}), source, unless_there=False).skipped


def test_the_configuration_may_ask_for_all_files(source):
    assert upload(Shelf({"a": b"content"}), source, skip_existing=True, unless_there=False).skipped


@pytest.mark.parametrize("error", [Unavailable("down"), ZeroDivisionError("a defect")], ids=["down", "defect"])
def test_a_question_that_fails_is_no_failure_of_the_upload(source, error):
    class Broken(Forgetful):
        def stat(self, path):
            if not self.calls:
                raise error
            return super().stat(path)

    shelf = Broken({"a": b"content"})
    assert not upload(shelf, source).skipped
    assert shelf.calls == [("upload", "a")]
