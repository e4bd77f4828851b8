"""File providers with one defect each: what needs no server to go wrong."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import replace

from faas_supervisor.errors import Cancelled, InvalidPath, NotFound, StorageError, Unavailable
from faas_supervisor.storage import ObjectInfo
from faas_supervisor.storage.file import FileProvider
from tests.testing.defects import found_by


class Uncancelled:
    """A progress that hides the request to stop."""

    def __init__(self, progress):
        self.progress = progress

    def start(self, total):
        self.progress.start(total)

    def advance(self, n):
        with contextlib.suppress(Cancelled):
            self.progress.advance(n)


class Silent:
    def start(self, total):
        pass

    def advance(self, n):
        pass


@found_by("test_bytes_come_back_as_they_went")
class Truncates(FileProvider):
    def download(self, source, destination, progress):
        info = super().download(source, destination, progress)
        os.truncate(destination, info.size // 2)
        return info


@found_by("test_bytes_come_back_as_they_went")
class LosesTheLastByteAfterAPart(FileProvider):
    def upload(self, source, path, progress):
        info = super().upload(source, path, progress)
        if info.size == 4 * 1024 * 1024 + 1:
            os.truncate(self._root / path, info.size - 1)
        return info


@found_by("test_bytes_come_back_as_they_went")
class LeavesFilesBeside(FileProvider):
    def download(self, source, destination, progress):
        destination.with_suffix(".part").touch()
        return super().download(source, destination, progress)


@found_by("test_bytes_come_back_as_they_went")
class SaysAWrongSize(FileProvider):
    def upload(self, source, path, progress):
        return replace(super().upload(source, path, progress), size=1)


@found_by("test_bytes_come_back_as_they_went")
class TellsNoProgress(FileProvider):
    def upload(self, source, path, progress):
        return super().upload(source, path, Silent())


@found_by("test_bytes_come_back_as_they_went")
class InventsChecksums(FileProvider):
    capabilities = replace(FileProvider.capabilities, checksums=frozenset({"md5"}))

    def upload(self, source, path, progress):
        return replace(super().upload(source, path, progress), checksums={"md5": "0" * 32})


@found_by("test_stat_says_what_upload_and_list_say")
class HasTwoEtags(FileProvider):
    def stat(self, path):
        return replace(super().stat(path), etag="other")


@found_by("test_upload_leaves_its_source_as_it_is")
class ChangesTheSource(FileProvider):
    def upload(self, source, path, progress):
        source.chmod(0o600)
        return super().upload(source, path, progress)


@found_by("test_a_download_has_the_mode_of_any_new_file")
class WritesPrivateFiles(FileProvider):
    def download(self, source, destination, progress):
        info = super().download(source, destination, progress)
        destination.chmod(0o600)
        return info


class Renames(FileProvider):
    """Keeps objects under other names than it was given."""

    def renamed(self, path):
        raise NotImplementedError

    def upload(self, source, path, progress):
        return replace(super().upload(source, self.renamed(path), progress), path=path)

    def download(self, source, destination, progress):
        return super().download(replace(source, path=self.renamed(source.path)), destination, progress)

    def stat(self, path):
        return super().stat(self.renamed(path))

    def delete(self, path):
        super().delete(self.renamed(path))


@found_by("test_a_name_is_kept_or_refused")
class StripsBlanks(Renames):
    def renamed(self, path):
        return "/".join(part.strip() for part in path.split("/"))


@found_by("test_a_name_is_kept_or_refused")
class RefusesWithoutSayingSo(FileProvider):
    def upload(self, source, path, progress):
        if "#" in path:
            raise InvalidPath("no hashes", path=path)
        return super().upload(source, path, progress)


@found_by("test_two_names_are_two_objects")
class MixesNames(Renames):
    def renamed(self, path):
        return path.replace("%20", " ")


@found_by("test_a_shorter_object_replaces_a_longer_one")
class OverwritesInPlace(FileProvider):
    def upload(self, source, path, progress):
        target = self._root / path
        if not target.exists():
            return super().upload(source, path, progress)
        with target.open("r+b") as file:
            file.write(source.read_bytes())
        return self.stat(path)


@found_by("test_a_reader_sees_the_old_or_the_new_object")
class WritesUnderTheFinalName(FileProvider):
    def upload(self, source, path, progress):
        target = self._root / path
        target.touch()
        data = source.read_bytes()
        with target.open("r+b") as file:
            for first in range(0, len(data), 100_000):
                file.write(data[first : first + 100_000])
                time.sleep(0.001)
        return self.stat(path)

    def download(self, source, destination, progress):
        destination.write_bytes((self._root / source.path).read_bytes())
        return self.stat(source.path)


@found_by("test_a_pinned_download_is_of_that_content_or_fails")
class IgnoresPins(FileProvider):
    def download(self, source, destination, progress):
        return super().download(replace(source, etag=None), destination, progress)


@found_by("test_what_is_not_there_is_empty")
class FailsOnMissingFolders(FileProvider):
    def list(self, prefix):
        if not (self._root / prefix).exists():
            raise NotFound("no such folder", path=prefix)
        yield from super().list(prefix)


@found_by("test_a_prefix_is_whole_segments")
class ListsByBeginning(FileProvider):
    def list(self, prefix):
        return (info for info in super().list("") if info.path.startswith(prefix))


@found_by("test_folders_are_no_objects")
class ListsFolders(FileProvider):
    def list(self, prefix):
        yield from super().list(prefix)
        for folder, names, _ in os.walk(self._root / prefix):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), self._root)  # noqa: PTH118
                yield ObjectInfo(path, 0)


@found_by("test_a_missing_object_is_not_found")
class LetsOsErrorsOut(FileProvider):
    def stat(self, path):
        return replace(super().stat(path), size=(self._root / path).stat().st_size)

    def download(self, source, destination, progress):
        try:
            return super().download(source, destination, progress)
        except NotFound as error:
            raise Unavailable("something is wrong", path=source.path) from error


@found_by("test_a_missing_object_is_not_found")
class HidesTheCause(FileProvider):
    def stat(self, path):
        try:
            return super().stat(path)
        except NotFound:
            raise NotFound("no such file", path=path) from None


@found_by("test_a_folder_is_not_found")
class FindsFolders(FileProvider):
    def stat(self, path):
        if (self._root / path).is_dir():
            return ObjectInfo(path, 0)
        return super().stat(path)


@found_by("test_deleting_what_is_not_there_is_success")
class FailsToDeleteTwice(FileProvider):
    def delete(self, path):
        self.stat(path)
        super().delete(path)


@found_by("test_memory_does_not_grow_with_the_object")
class ReadsWholeFiles(FileProvider):
    def upload(self, source, path, progress):
        whole = source.read_bytes()
        return super().upload(source, path, progress) if whole else None

    def download(self, source, destination, progress):
        info = super().download(source, destination, progress)
        return info if len(destination.read_bytes()) == info.size else None


@found_by("test_a_cancelled_upload_ends_and_leaves_nothing")
class IgnoresCancelledUploads(FileProvider):
    def upload(self, source, path, progress):
        return super().upload(source, path, Uncancelled(progress))


@found_by("test_a_cancelled_upload_ends_and_leaves_nothing")
class TranslatesCancelled(FileProvider):
    def upload(self, source, path, progress):
        try:
            return super().upload(source, path, progress)
        except Cancelled as error:
            raise StorageError("the upload failed", path=path) from error


@found_by("test_a_cancelled_upload_ends_and_leaves_nothing")
class LeavesAPart(FileProvider):
    def upload(self, source, path, progress):
        try:
            return super().upload(source, path, progress)
        except Cancelled:
            (self._root / path).write_bytes(b"a part")
            raise


@found_by("test_a_cancelled_upload_leaves_the_old_object")
class DeletesFirst(FileProvider):
    def upload(self, source, path, progress):
        self.delete(path)
        return super().upload(source, path, progress)


@found_by("test_a_cancelled_download_ends")
class IgnoresCancelledDownloads(FileProvider):
    def download(self, source, destination, progress):
        return super().download(source, destination, Uncancelled(progress))


@found_by("test_a_cancelled_download_ends")
class LeavesAThread(FileProvider):
    def download(self, source, destination, progress):
        try:
            return super().download(source, destination, progress)
        except Cancelled:
            threading.Thread(target=time.sleep, args=(8,), daemon=True).start()
            raise


@found_by("test_threads_may_share_a_provider")
class KeepsStateBetweenCalls(FileProvider):
    def upload(self, source, path, progress):
        self.current = path
        time.sleep(0.05)
        return super().upload(source, self.current, progress)


@found_by("test_any_history_ends_as_a_dictionary_says")
class RemembersDeletedObjects(FileProvider):
    def __init__(self, settings):
        super().__init__(settings)
        self.sizes = {}

    def upload(self, source, path, progress):
        info = super().upload(source, path, progress)
        self.sizes[path] = info
        return info

    def stat(self, path):
        return self.sizes.get(path) or super().stat(path)
