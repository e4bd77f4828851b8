"""`list` shows every object below a folder, once, and nothing else."""

from __future__ import annotations

import pytest

from faas_supervisor.errors import NotFound
from faas_supervisor.testing._base import ContractBase, given
from faas_supervisor.testing._rig import Rig, expect, require

__all__ = ["Listing"]


class Listing(ContractBase):
    """Listings are recursive, complete and made of objects only."""

    @pytest.mark.parametrize("prefix", ["", "missing", "missing/folder"], ids=["root", "folder", "nested folder"])
    def test_what_is_not_there_is_empty(self, rig: Rig, prefix: str) -> None:
        """A missing folder is an empty one, not an error."""
        with expect("listing a missing folder must give nothing, and raise nothing"):
            require(rig.names(prefix) == [], "listing a missing folder must give nothing")

    def test_a_prefix_is_whole_segments(self, rig: Rig) -> None:
        """`a/b` is the folder `a/b` or the object `a/b`, but not the beginning of `a/bc`."""
        for name in ("a/b/1", "a/b/2/3", "a/bc", "a/bd/4", "a b/5"):
            rig.upload(name, b"x")

        require(rig.names("a/b") == ["a/b/1", "a/b/2/3"], "a prefix must match whole segments only", rig.names("a/b"))
        require(rig.names("a/bc") == ["a/bc"], "a prefix that is an object's path must give that object")
        require(len(rig.names()) == 5, "the empty prefix must give everything", rig.names())  # noqa: PLR2004

    def test_a_listing_may_be_longer_than_a_page(self, rig: Rig) -> None:
        """Every object is listed once, however many there are."""
        expected = sorted(f"many/{n:05}" for n in range(self.page_size + self.page_size // 2 + 1))
        for name in expected:
            rig.upload(name, b"x")

        listed = rig.names("many")

        require(len(listed) == len(set(listed)), "no object may be listed twice", len(listed))
        require(listed == expected, f"all of {len(expected)} objects must be listed", len(listed))

    def test_folders_are_no_objects(self, request: pytest.FixtureRequest, rig: Rig) -> None:
        """Neither folders nor the markers that stand for them are listed; `stat` does not find them."""
        given(request, "make_folder")(rig.path("folder/empty"))
        rig.upload("folder/object", b"x")

        require(rig.names() == ["folder/object"], "`list` must give no folders and no folder markers", rig.names())
        with pytest.raises(NotFound):
            rig.provider.stat(rig.path("folder"))
