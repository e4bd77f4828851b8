"""The `file` provider keeps the whole contract, and has sharp edges of its own."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from faas_supervisor.errors import (
    AlreadyExists,
    Cancelled,
    IntegrityError,
    InvalidConfiguration,
    InvalidPath,
    NotFound,
    PermissionDenied,
    StorageError,
    Unavailable,
    Unsupported,
)
from faas_supervisor.storage import ObjectRef
from faas_supervisor.storage.file import SPEC, FileSettings
from tests.testing.contracts import FileContract


class Quiet:
    def start(self, total):
        pass

    def advance(self, n):
        pass


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system that has room for one page, in use by a file that nobody sees."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    command = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", folder]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small file system here: {mounted.stderr}")
    (folder / ".faas-supervisor-partial-filler").write_bytes(b"x" * 4096)
    yield folder
    subprocess.run(["umount", folder], check=True)


class TestContract(FileContract):
    @pytest.fixture
    def full_provider(self, small_disk):
        return SPEC.factory(FileSettings(root=str(small_disk)))


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def provider(root):
    return SPEC.factory(SPEC.settings(root=str(root)))


@pytest.fixture
def source(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"new")
    return source


@pytest.fixture
def outside(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    return outside


@pytest.fixture
def attempts(provider, source, tmp_path):
    """What can be done with a path, by name."""
    arrival = tmp_path / "arrival"
    return {
        "download": lambda path: provider.download(ObjectRef(path), arrival, Quiet()),
        "upload": lambda path: provider.upload(source, path, Quiet()),
        "list": lambda path: list(provider.list(path)),
        "stat": provider.stat,
        "delete": provider.delete,
    }


@pytest.mark.parametrize("operation", ["download", "stat", "upload"])
def test_folders_behind_links_are_refused(attempts, root, outside, operation):
    (root / "link").symlink_to(outside)
    with pytest.raises(StorageError, match="link"):
        attempts[operation]("link/secret")
    assert (outside / "secret").read_bytes() == b"secret"


def test_nothing_is_listed_or_deleted_behind_a_link(attempts, root, outside):
    (root / "link").symlink_to(outside)
    attempts["delete"]("link/secret")
    assert attempts["list"]("link/secret") == []
    assert (outside / "secret").exists()


@pytest.mark.parametrize("operation", ["download", "stat", "list", "delete"])
def test_links_to_files_are_refused(attempts, root, outside, operation):
    (root / "link").symlink_to(outside / "secret")
    with pytest.raises(InvalidPath, match="link"):
        attempts[operation]("link")
    assert (outside / "secret").exists()


def test_an_upload_replaces_a_link_and_not_what_it_leads_to(attempts, root, outside):
    (root / "link").symlink_to(outside / "secret")
    attempts["upload"]("link")
    assert (root / "link").read_bytes() == b"new"
    assert (outside / "secret").read_bytes() == b"secret"


def test_links_are_not_listed(provider, root, outside):
    (root / "folder").mkdir()
    (root / "folder" / "file").write_bytes(b"x")
    (root / "folder" / "link").symlink_to(outside / "secret")
    (root / "other").symlink_to(outside)
    assert [info.path for info in provider.list("")] == ["folder/file"]


def test_the_root_itself_may_be_a_link(root, tmp_path, source):
    (tmp_path / "alias").symlink_to(root)
    provider = SPEC.factory(FileSettings(root=str(tmp_path / "alias")))
    provider.upload(source, "object", Quiet())
    assert (root / "object").read_bytes() == b"new"


@pytest.mark.parametrize("path", ["../outside", "a/../../b", "/etc/hostname", "a//b", "a/./b", "a/", "", "a\0b"])
def test_paths_that_are_no_names_are_refused(attempts, path):
    for operation in ("download", "upload", "stat", "delete"):
        with pytest.raises(InvalidPath):
            attempts[operation](path)


def test_named_pipes_and_sockets_are_no_objects(provider, root, tmp_path):
    os.mkfifo(root / "pipe")
    with pytest.raises(NotFound):
        provider.download(ObjectRef("pipe"), tmp_path / "arrival", Quiet())
    with pytest.raises(NotFound):
        provider.stat("pipe")
    assert list(provider.list("")) == []


def test_an_upload_is_invisible_until_it_is_complete(provider, root, source):
    seen = []

    class Looks(Quiet):
        def advance(self, n):
            seen.append(([info.path for info in provider.list("")], len(list(root.rglob("*")))))

    provider.upload(source, "object", Looks())
    assert seen == [([], 1)]
    assert [path.name for path in root.rglob("*")] == ["object"]


@pytest.mark.parametrize("error", [Cancelled(), OSError(errno.ENOSPC, "full"), KeyboardInterrupt()], ids=repr)
def test_a_failed_upload_leaves_no_temporary_file(provider, root, source, error):
    class Fails(Quiet):
        def advance(self, n):
            raise error

    with pytest.raises((Cancelled, StorageError, KeyboardInterrupt)):
        provider.upload(source, "folder/object", Fails())
    assert [path.name for path in root.rglob("*")] == ["folder"]


def test_names_of_unfinished_uploads_are_refused(provider, source):
    with pytest.raises(InvalidPath, match="unfinished"):
        provider.upload(source, "folder/.faas-supervisor-partial-1", Quiet())


def test_a_full_local_disk_is_not_the_storages_fault(provider, root, small_disk):
    (root / "object").write_bytes(b"x")
    with pytest.raises(OSError, match="No space") as error:
        provider.download(ObjectRef("object"), small_disk / "arrival", Quiet())
    assert error.value.errno == errno.ENOSPC


def test_a_missing_source_is_not_a_missing_object(provider, tmp_path):
    with pytest.raises(FileNotFoundError):
        provider.upload(tmp_path / "missing", "object", Quiet())


def test_same_size_and_same_moment_still_change_the_etag(source):
    # In memory, where hundreds of uploads fit into one tick of an older kernel's clock.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        provider = SPEC.factory(FileSettings(root=folder))
        etags = {provider.upload(source, "object", Quiet()).etag for _ in range(200)}
    assert len(etags) == 200


def test_a_version_is_not_supported(provider, root, tmp_path):
    (root / "object").write_bytes(b"x")
    with pytest.raises(Unsupported, match="versions"):
        provider.download(ObjectRef("object", version="3"), tmp_path / "arrival", Quiet())


class Changes(Quiet):
    """Changes a file whenever a piece of it has been copied."""

    def __init__(self, file, how):
        self.file = file
        self.how = how

    def advance(self, n):
        with self.file.open("r+b") as opened:
            if self.how == "shorter":
                opened.truncate(4_200_000)
            else:
                opened.seek(0, os.SEEK_END if self.how == "longer" else os.SEEK_SET)
                opened.write(b"y")


@pytest.mark.parametrize("change", ["shorter", "longer", "replaced"])
def test_an_object_that_changes_while_it_is_read_is_an_integrity_error(provider, root, tmp_path, change):
    file = root / "object"
    file.write_bytes(b"x" * 9_000_000)
    with pytest.raises(IntegrityError):
        provider.download(ObjectRef("object"), tmp_path / "arrival", Changes(file, change))


@pytest.mark.parametrize("change", ["shorter", "longer"])
def test_a_source_that_changes_while_it_is_read_is_an_integrity_error(provider, root, source, change):
    source.write_bytes(b"x" * 9_000_000)
    with pytest.raises(IntegrityError):
        provider.upload(source, "object", Changes(source, change))
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("path", ["folder", "file/below"])
def test_folders_and_files_do_not_replace_each_other(provider, root, source, path):
    (root / "folder").mkdir()
    (root / "file").touch()
    with pytest.raises(AlreadyExists):
        provider.upload(source, path, Quiet())


def test_a_name_too_long_for_the_file_system_is_invalid(provider, source):
    with pytest.raises(InvalidPath, match="too long"):
        provider.upload(source, "n" * 256, Quiet())


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EACCES, PermissionDenied), (errno.EROFS, PermissionDenied), (errno.EIO, Unavailable)],
    ids=["refused", "read-only", "broken disk"],
)
def test_what_the_kernel_says_has_its_class(attempts, root, monkeypatch, number, kind):
    (root / "object").write_bytes(b"x")

    def refuse(*_arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "sendfile", refuse)
    with pytest.raises(kind):
        attempts["download"]("object")


def test_names_that_are_not_utf8_are_listed_and_found(provider, root):
    (root / os.fsdecode(b"caf\xe9")).write_bytes(b"x")
    (info,) = provider.list("")
    assert provider.stat(info.path).size == 1


def test_the_root_is_made_by_the_first_upload_but_its_parent_is_not(root, source):
    provider = SPEC.factory(FileSettings(root=str(root / "minio.default")))
    assert list(provider.list("")) == []
    with pytest.raises(InvalidConfiguration, match="no folder"):
        provider.check()
    provider.upload(source, "bucket/object", Quiet())
    assert (root / "minio.default/bucket/object").read_bytes() == b"new"
    provider.check()
    with pytest.raises(NotFound):
        SPEC.factory(FileSettings(root=str(root / "typo/minio.default"))).upload(source, "object", Quiet())


def test_no_descriptor_is_left_open(provider, attempts, root):
    def descriptors():
        return len(list(Path("/proc/self/fd").iterdir()))

    (root / "folder").mkdir()
    before = descriptors()
    for attempt in attempts.values():
        for path in ("folder", "missing/object", "object"):
            with contextlib.suppress(StorageError):
                attempt(path)
    provider.upload(root.parent / "source", "object", Quiet())
    entries = provider.list("")
    next(entries)
    entries.close()
    assert descriptors() == before
