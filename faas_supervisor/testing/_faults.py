"""Servers that fail: an error that says so in time, or the right bytes; never wrong ones."""

from __future__ import annotations

from typing import Final

import pytest

from faas_supervisor.errors import StorageError, Throttled, Unavailable
from faas_supervisor.testing._faulty import FaultsBase, FaultyRig, operate
from faas_supervisor.testing._rig import content, finish_within, require
from faas_supervisor.testing.faults import act, ignore_range, slow_answer, stall, status, truncate

__all__ = ["Faults"]

_MOST_REQUESTS: Final = 50
_RETRY_AFTER: Final = 7.0


class Faults(FaultsBase):
    """A server that cuts, stalls, refuses or lies."""

    def test_a_truncated_download_is_an_error(self, faulty: FaultyRig) -> None:
        """A connection closed after half of the bytes is noticed, and worth another try."""
        faulty.rig.upload("object", content(self.size()))
        faulty.server.fail_next("GET", truncate(at=0.5), times=None)

        rule = "a download that was cut must raise an error"
        error = faulty.fails(lambda: faulty.through.download("object"), rule, within=self.patience)

        require(error.retryable, "a download that was cut must raise a `retryable` error", error)
        require(faulty.through.leftovers() == [], "a failed download must leave no file but `destination`")

    @pytest.mark.parametrize("parts", [0.5, 3], ids=["one part", "several parts"])
    def test_a_truncated_upload_is_an_error(self, faulty: FaultyRig, parts: float) -> None:
        """The server closes while it reads: the object is not there, and the provider says so."""
        faulty.server.fail_next("PUT", truncate(at=0.5), times=None)
        data = content(int(parts * self.part_size) + 1)

        rule = "an upload that was cut must raise an error"
        error = faulty.fails(lambda: faulty.through.upload("object", data), rule, within=self.patience)

        require(error.retryable, "an upload that was cut must raise a `retryable` error", error)
        if faulty.rig.provider.capabilities.atomic_upload:
            require(not faulty.rig.exists("object"), "a failed upload must leave no part of the object visible")

    @pytest.mark.parametrize("at", [0.0, 0.5], ids=["before the first byte", "half-way"])
    def test_a_silent_server_is_given_up_on(self, faulty: FaultyRig, at: float) -> None:
        """Silence ends in `Unavailable` within the provider's time-outs."""
        faulty.rig.upload("object", content(self.size()))
        faulty.server.fail_next("GET", stall(at), times=None)

        rule = "a server that goes silent must be given up on within `stall_time`"
        error = faulty.fails(lambda: faulty.through.download("object"), rule, within=self.stall_time)

        require(isinstance(error, Unavailable), "a silent server must raise `Unavailable`", error)

    def test_a_server_that_never_answers_an_upload_is_given_up_on(self, faulty: FaultyRig) -> None:
        """All bytes were taken, but no answer comes."""
        faulty.server.fail_next("PUT", slow_answer(10 * self.stall_time), times=None)

        rule = "an upload that is never answered must be given up on within `stall_time`"
        error = faulty.fails(lambda: faulty.through.upload("object", b"x"), rule, within=self.stall_time)

        require(isinstance(error, Unavailable), "a silent server must raise `Unavailable`", error)

    def test_an_ignored_range_gives_no_wrong_bytes(self, faulty: FaultyRig) -> None:
        """A server may answer a request for a part with the whole object."""
        faulty.rig.upload("object", content(self.size()))
        faulty.server.fail_next("GET", ignore_range(), times=None)
        self._right_or_error(faulty, {content(self.size())})

    @pytest.mark.parametrize("skip", [0, 1], ids=["at once", "from the second request on"])
    def test_a_refused_range_gives_no_wrong_bytes(self, faulty: FaultyRig, skip: int) -> None:
        """416 does not mean that the object has ended or is empty."""
        faulty.rig.upload("object", content(self.size()))
        faulty.server.fail_next("GET", status(416), times=None, skip=skip)
        self._right_or_error(faulty, {content(self.size())})

    def test_an_object_replaced_meanwhile_gives_no_mixture(self, faulty: FaultyRig) -> None:
        """Parts that are fetched one after another are of one object, or the download fails."""
        old, new = content(self.size(), seed=1), content(self.size(), seed=2)
        faulty.rig.upload("object", old)
        faulty.server.fail_next("GET", act(lambda: faulty.rig.upload("object", new)), skip=1)
        self._right_or_error(faulty, {old, new})

    def _right_or_error(self, faulty: FaultyRig, right: set[bytes]) -> None:
        def download() -> bytes:
            return faulty.through.download("object")[0]

        try:
            received = finish_within(self.patience, download, "a download must end")
        except StorageError:
            return
        require(received in right, "a download must give the right bytes or raise, never wrong bytes", len(received))

    @pytest.mark.parametrize("operation", ["download", "upload", "list", "stat"])
    @pytest.mark.parametrize("code", [500, 503])
    def test_a_failing_server_is_unavailable(self, faulty: FaultyRig, operation: str, code: int) -> None:
        """It is told as an error that the core may retry, after few requests: retrying is the core's business."""
        faulty.rig.upload("object", b"x")
        faulty.server.fail_next("*", status(code), times=None)

        rule = f"a server that answers {code} must raise an error"
        error = faulty.fails(lambda: operate(faulty.through, operation), rule, within=self.patience)

        require(isinstance(error, Throttled | Unavailable), "500 and 503 are `Unavailable` or `Throttled`", error)
        require(error.retryable, "a failing server may work again: the error must be `retryable`", error)
        few = len(faulty.server.requests) <= _MOST_REQUESTS
        require(few, "one operation must not ask a failing server again and again", len(faulty.server.requests))

    def test_too_many_requests_is_throttled(self, faulty: FaultyRig) -> None:
        """429 is `Throttled`, and the server's Retry-After reaches the core."""
        faulty.rig.upload("object", b"x")
        faulty.server.fail_next("*", status(429, {"Retry-After": f"{_RETRY_AFTER:g}"}), times=None)

        rule = "429 must raise an error"
        error = faulty.fails(lambda: faulty.through.download("object"), rule, within=self.patience)

        require(isinstance(error, Throttled), "429 must raise `Throttled`", error)
        if self.reports_retry_after:
            rule = "`retry_after` must be the server's Retry-After, or `reports_retry_after` False"
            require(error.retry_after == _RETRY_AFTER, rule, error.retry_after)

    def test_a_compressed_answer_is_not_asked_for(self, faulty: FaultyRig) -> None:
        """Sizes, ranges and checksums are of the bytes as stored: no `Accept-Encoding` but `identity`."""
        faulty.rig.upload("object", b"x")
        faulty.through.download("object")
        asked = {request.headers.get("Accept-Encoding", "identity") for request in faulty.server.requests}
        require(asked == {"identity"}, "`Accept-Encoding` must be absent or `identity`", asked)

    def test_a_listing_is_fetched_page_by_page(self, faulty: FaultyRig) -> None:
        """The first entry is there before the last page was asked for."""
        for n in range(2 * self.page_size + 1):
            faulty.rig.upload(f"many/{n:05}", b"x")
        entries = faulty.through.provider.list(faulty.through.path("many"))

        next(entries)
        first = len(faulty.server.requests)
        rest = sum(1 for _ in entries)

        require(rest == 2 * self.page_size, "every object must be listed once", rest + 1)
        later = len(faulty.server.requests)
        require(first < later, "`list` must yield the entries of a page before it asks for the next", (first, later))
