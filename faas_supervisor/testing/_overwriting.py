"""An upload replaces what was there, at once and whole, and a pinned download notices it."""

from __future__ import annotations

import threading

import pytest

from faas_supervisor.errors import IntegrityError, NotFound
from faas_supervisor.testing._base import ContractBase, given, skip_unless
from faas_supervisor.testing._rig import Recorder, Rig, content, require

__all__ = ["Overwriting"]


class Overwriting(ContractBase):
    """An upload replaces what was there, at once and whole; pins notice it."""

    def test_a_shorter_object_replaces_a_longer_one(self, rig: Rig) -> None:
        """Nothing of the old content stays."""
        skip_unless(rig, "overwrite")
        rig.upload("object", content(self.part_size + 1, seed=1))
        sent = rig.upload("object", b"short")

        require(rig.download("object")[0] == b"short", "an upload must replace the whole object")
        require(sent.size == len(b"short"), "upload must return the size of the new object", sent)
        require(rig.names() == ["object"], "replacing an object must not add another one", rig.names())

    def test_a_reader_sees_the_old_or_the_new_object(self, request: pytest.FixtureRequest, rig: Rig) -> None:
        """Whoever reads while an object is replaced gets one of the two, or an error, never a mixture."""
        skip_unless(rig, "overwrite")
        skip_unless(rig, "atomic_upload")
        states = [content(3 * self.part_size + 1, seed) for seed in (1, 2)]
        rig.upload("object", states[0])
        writer = given(request, "provider_factory")()
        sources = [rig.local("state"), rig.local("state")]
        for source, data in zip(sources, states, strict=True):
            source.write_bytes(data)

        def overwrite() -> None:
            for turn in range(6):
                writer.upload(sources[(turn + 1) % 2], rig.path("object"), Recorder())
            writer.close()

        thread = threading.Thread(target=overwrite)
        thread.start()
        try:
            while thread.is_alive():
                try:
                    received, _ = rig.download("object")
                except (IntegrityError, NotFound):
                    continue
                require(received in states, "a reader must never see a mixture of the old and the new object")
        finally:
            thread.join()

    def test_a_pinned_download_is_of_that_content_or_fails(self, rig: Rig) -> None:
        """With `pins`, a download that names an etag never gets another content."""
        skip_unless(rig, "pins")
        old = rig.upload("object", b"old content").etag
        require(old, "a provider with `pins` must tell the etag of what it uploaded")
        require(rig.download("object", etag=old)[0] == b"old content", "a good pin must not hinder the download")
        new = rig.upload("object", b"new content").etag

        require(new != old, "the etag must change with the content", new)
        try:
            received, _ = rig.download("object", etag=old)
        except NotFound:
            pass
        else:
            pytest.fail(f"a download pinned to an etag that is gone must raise `NotFound`\nSeen: {received!r}")
        require(rig.leftovers() == [], "a refused download must leave no file", rig.leftovers())
