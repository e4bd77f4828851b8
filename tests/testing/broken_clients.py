"""HTTP providers with one defect each: what goes wrong between a client and its server."""

from __future__ import annotations

import contextlib
import logging

from faas_supervisor.errors import IntegrityError, NotFound, PermissionDenied, StorageError, Unavailable, Unsupported
from faas_supervisor.storage import ObjectInfo
from tests.testing.defects import found_by
from tests.testing.http_provider import HttpProvider


@found_by("test_a_listing_may_be_longer_than_a_page")
class ListsOnePage(HttpProvider):
    def list(self, prefix):
        for _, info in zip(range(10), super().list(prefix), strict=False):
            yield info


class Confuses(HttpProvider):
    """Takes one kind of answer for another."""

    kinds: dict

    def _refusal(self, answer, path):
        kind = self.kinds.get(answer.status)
        return kind("refused", path=path) if kind else super()._refusal(answer, path)


@found_by("test_bad_credentials_are_named_so")
class BlamesRights(Confuses):
    kinds = {401: PermissionDenied}  # noqa: RUF012


@found_by("test_forbidden_is_permission_denied")
class BlamesTheObject(Confuses):
    kinds = {403: NotFound}  # noqa: RUF012


@found_by("test_a_missing_bucket_is_not_found")
class BlamesTheServer(Confuses):
    kinds = {404: Unavailable}  # noqa: RUF012


@found_by("test_a_full_store_is_insufficient_storage")
class DoesNotKnowFull(Confuses):
    kinds = {507: Unavailable}  # noqa: RUF012


@found_by("test_no_secret_is_seen")
class LogsItsToken(HttpProvider):
    def stat(self, path):
        logging.getLogger("sdk").debug("asking with %s", self.settings.token.reveal())
        return super().stat(path)


@found_by("test_no_secret_is_seen")
class TellsItsToken(HttpProvider):
    def _refusal(self, answer, path):
        error = super()._refusal(answer, path)
        error.hint = f"is {self.settings.token.reveal()} right?"
        return error


@found_by("test_a_truncated_download_is_an_error")
class DoesNotCount(HttpProvider):
    part = 10 * 1024 * 1024

    def _part(self, info, first, end, file, progress):
        with self._asked("GET", info.path) as answer:
            while block := answer.read1(1000):
                file.write(block)
                progress.advance(len(block))


@found_by("test_a_truncated_upload_is_an_error")
class IgnoresFailedUploads(HttpProvider):
    def upload(self, source, path, progress):
        try:
            return super().upload(source, path, progress)
        except Unavailable:
            return ObjectInfo(path, source.stat().st_size)


@found_by("test_a_silent_server_is_given_up_on")
class WaitsForEver(HttpProvider):
    time_out = 60.0


@found_by("test_a_server_that_never_answers_an_upload_is_given_up_on")
class WaitsForEverForItsAnswer(HttpProvider):
    time_out = 60.0


@found_by("test_an_ignored_range_gives_no_wrong_bytes")
class AppendsWholeObjects(HttpProvider):
    def _part(self, info, first, end, file, progress):
        with self._asked("GET", info.path, headers={"Range": f"bytes={first}-{end - 1}"}) as answer:
            file.write(answer.read())
            progress.advance(end - first)


@found_by("test_a_refused_range_gives_no_wrong_bytes")
class Takes416AsTheEnd(HttpProvider):
    def _part(self, info, first, end, file, progress):
        with contextlib.suppress(IntegrityError):
            super()._part(info, first, end, file, progress)


@found_by("test_an_object_replaced_meanwhile_gives_no_mixture")
class PinsNoParts(HttpProvider):
    def _part(self, info, first, end, file, progress):
        with self._asked("GET", info.path, headers={"Range": f"bytes={first}-{end - 1}"}) as answer:
            data = answer.read()
            file.write(data)
            progress.advance(len(data))


@found_by("test_a_failing_server_is_unavailable")
class TakesFailuresForAbsence(Confuses):
    kinds = {503: NotFound}  # noqa: RUF012


@found_by("test_a_failing_server_is_unavailable")
class AsksAgainAndAgain(HttpProvider):
    def stat(self, path):
        for _ in range(60):
            with contextlib.suppress(StorageError):
                return super().stat(path)
        return super().stat(path)


@found_by("test_too_many_requests_is_throttled")
class ForgetsRetryAfter(HttpProvider):
    def _refusal(self, answer, path):
        error = super()._refusal(answer, path)
        error.retry_after = None
        return error


@found_by("test_a_compressed_answer_is_not_asked_for")
class AsksForCompression(HttpProvider):
    @contextlib.contextmanager
    def _asked(self, method, path, *, query="", body=None, headers=None):
        headers = {"Accept-Encoding": "gzip", **(headers or {})}
        with super()._asked(method, path, query=query, body=body, headers=headers) as answer:
            yield answer


@found_by("test_a_listing_is_fetched_page_by_page")
class ListsEagerly(HttpProvider):
    def list(self, prefix):
        return iter(tuple(super().list(prefix)))


@found_by("test_nobody_listening_is_unavailable")
class LetsRefusedConnectionsBeFinal(HttpProvider):
    def stat(self, path):
        try:
            return super().stat(path)
        except Unavailable as error:
            raise Unsupported("no connection", path=path) from error


@found_by("test_a_reset_is_unavailable")
class TakesResetsForTheEnd(HttpProvider):
    def _part(self, info, first, end, file, progress):
        with contextlib.suppress(Unavailable, IntegrityError):
            super()._part(info, first, end, file, progress)


@found_by("test_a_dead_network_is_given_up_on")
class WaitsForEverForTheNetwork(HttpProvider):
    time_out = 60.0


@found_by("test_a_poor_network_is_good_enough")
class ReadsOnce(HttpProvider):
    def _part(self, info, first, end, file, progress):
        with self._asked("GET", info.path, headers={"Range": f"bytes={first}-{end - 1}"}) as answer:
            data = answer.read1()
            file.write(data)
            progress.advance(len(data))


class Follows(HttpProvider):
    """Goes where it is sent."""

    with_token = True

    def _refusal(self, answer, path):
        if answer.status == 307:
            return Elsewhere(answer.getheader("Location"))
        return super()._refusal(answer, path)

    def stat(self, path):
        try:
            return super().stat(path)
        except Elsewhere as there:
            here, self.netloc = self.netloc, there.url.split("/")[2]
            try:
                return super().stat(path)
            finally:
                self.netloc = here


class Elsewhere(StorageError):
    def __init__(self, url):
        super().__init__("moved")
        self.url = url


@found_by("test_credentials_stay_with_their_server")
class TakesItsTokenAlong(Follows):
    pass


@found_by("test_a_redirect_on_the_same_server_works_or_fails_clearly")
class TakesARedirectForSuccess(HttpProvider):
    def upload(self, source, path, progress):
        try:
            return super().upload(source, path, progress)
        except StorageError as error:
            if "307" in error.message:
                return ObjectInfo(path, source.stat().st_size)
            raise


@found_by("test_the_core_recovers")
class SaysThatNothingIsWorthAnotherTry(HttpProvider):
    def _refusal(self, answer, path):
        error = super()._refusal(answer, path)
        error.retryable = False
        return error
