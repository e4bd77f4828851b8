"""Every name that the store can hold is kept; every other one is refused clearly."""

from __future__ import annotations

import pytest

from faas_supervisor.errors import InvalidPath
from faas_supervisor.testing._base import ContractBase
from faas_supervisor.testing._rig import Rig, expect, require
from faas_supervisor.testing.names import DISTINCT, NAMES, OPAQUE_NAMES

__all__ = ["Names"]


class Names(ContractBase):
    """Every name that the store can hold is kept; every other one is refused clearly."""

    @pytest.mark.parametrize("kind", [*NAMES, *OPAQUE_NAMES])
    def test_a_name_is_kept_or_refused(self, rig: Rig, kind: str) -> None:
        """An object of any name is found under just this name, or `InvalidPath` says that it can't be."""
        if kind in OPAQUE_NAMES and not rig.provider.capabilities.opaque_keys:
            return  # the core lets no such name reach a store of folders
        name = f"names/{NAMES.get(kind) or OPAQUE_NAMES[kind]}"
        if kind in self.refused_names:
            with pytest.raises(InvalidPath):
                rig.upload(name, b"refused")
            require(rig.names() == [], "a refused name must leave nothing in the store", rig.names())
            return

        with expect(f"the store must hold {name!r}, or {kind!r} must be in `refused_names`"):
            rig.upload(name, kind.encode())

        received, _ = rig.download(name)
        require(received == kind.encode(), f"the name {name!r} must lead to the object that was uploaded under it")
        require(rig.names() == [name], f"`list` must show {name!r} and nothing else", rig.names())
        require(rig.provider.stat(rig.path(name)).size == len(kind), f"`stat` must find {name!r}")
        rig.provider.delete(rig.path(name))
        require(rig.names() == [], f"`delete` must remove {name!r}", rig.names())

    @pytest.mark.parametrize("pair", DISTINCT.values(), ids=DISTINCT.keys())
    def test_two_names_are_two_objects(self, rig: Rig, pair: tuple[str, str]) -> None:
        """Names that differ are different objects, however alike they look once encoded."""
        for name in pair:
            rig.upload(name, name.encode())

        for name in pair:
            received, _ = rig.download(name)
            require(received == name.encode(), f"{pair[0]!r} and {pair[1]!r} are two objects", received)
        require(rig.names() == sorted(pair), f"`list` must show both {pair[0]!r} and {pair[1]!r}", rig.names())
