"""Transfers use little memory, stop when told to, and go on side by side."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from faas_supervisor.errors import Cancelled
from faas_supervisor.testing import _child
from faas_supervisor.testing._base import MIB, ContractBase, given, skip_unless
from faas_supervisor.testing._rig import Recorder, Rig, content, expect, finish_within, have_ended, require

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Transfers"]

_THREADS = 8
_OVERHEAD = 32 * MIB


class Transfers(ContractBase):
    """What holds for long transfers."""

    @pytest.mark.parametrize("direction", ["upload", "download"])
    def test_memory_does_not_grow_with_the_object(
        self, request: pytest.FixtureRequest, rig: Rig, direction: str
    ) -> None:
        """Moving an object of `memory_size` takes at most `memory_parts` parts and 32 MiB. Measured in a process."""
        factory = given(request, "provider_factory")
        allowed = self.memory_parts * self.part_size + _OVERHEAD
        require(allowed < self.memory_size, "`memory_size` must exceed what is allowed, or nothing can be seen")
        source = rig.local("large")
        with source.open("wb") as file:
            file.truncate(self.memory_size)
        rig.upload("small", b"x")
        if direction == "download":
            rig.provider.upload(source, rig.path("large"), Recorder())
        task = pickle.dumps((direction, factory, rig.path("large"), rig.path("small"), source))

        done = subprocess.run(
            [sys.executable, _child.__file__],
            input=pickle.dumps((sys.path, task)),  # the path first: the task needs it to be read
            capture_output=True,
            timeout=5 * self.patience,
            check=False,
        )

        require(done.returncode == 0, f"the {direction} in a process of its own failed", done.stderr.decode())
        grown = int(done.stdout)
        rule = f"{direction} of {self.memory_size // MIB} MiB may take {allowed // MIB} MiB of memory"
        require(grown < allowed, rule, f"{grown / MIB:.1f} MiB")

    def test_a_cancelled_upload_ends_and_leaves_nothing(self, rig: Rig) -> None:
        """`Cancelled` comes out as it is, no thread goes on, and with `atomic_upload` no part is visible."""
        data = content(3 * self.part_size + 1)
        rig.upload("before", data)

        self._cancelled(lambda progress: rig.upload("object", data, progress))

        if rig.provider.capabilities.atomic_upload:
            require(not rig.exists("object"), "a cancelled upload must leave no part of the object visible")
        require(rig.download("before")[0] == data, "a provider must still work after a transfer was cancelled")

    def test_a_cancelled_upload_leaves_the_old_object(self, rig: Rig) -> None:
        """With `atomic_upload`, what was there stays until all of the new object is there."""
        skip_unless(rig, "atomic_upload")
        rig.upload("object", b"the old object")

        self._cancelled(lambda progress: rig.upload("object", content(3 * self.part_size + 1), progress))

        require(rig.exists("object"), "a cancelled upload must leave the old object")
        require(rig.download("object")[0] == b"the old object", "a cancelled upload must leave the old object")

    def test_a_cancelled_download_ends(self, rig: Rig) -> None:
        """`Cancelled` comes out as it is, no thread goes on, no file but `destination` stays."""
        data = content(3 * self.part_size + 1)
        rig.upload("object", data)
        rig.download("object")

        self._cancelled(lambda progress: rig.download("object", progress))

        require(rig.leftovers() == [], "a cancelled download must leave no file but `destination`", rig.leftovers())
        require(rig.download("object")[0] == data, "a provider must still work after a transfer was cancelled")

    def _cancelled(self, transfer: Callable[[Recorder], object]) -> None:
        """Run `transfer` with a progress that says stop after the first piece."""
        before = set(threading.enumerate())
        progress = Recorder(cancel_after=0)
        rule = "`Cancelled` raised by Progress.advance must end the transfer and be let through as it is"
        try:
            with expect(rule):
                finish_within(self.patience, lambda: transfer(progress), "a cancelled transfer must end")
        except Cancelled:
            pass
        else:
            require(progress.cancelled.is_set(), "Progress.advance must be called while bytes move")
            pytest.fail(rule)
        require(have_ended(set(threading.enumerate()) - before), "a cancelled transfer must leave no thread behind")

    def test_threads_may_share_a_provider(self, request: pytest.FixtureRequest, rig: Rig) -> None:
        """With `thread_safe` one instance serves eight threads; else each thread has one of its own."""
        shared = rig.provider.capabilities.thread_safe
        providers = [rig.provider if shared else given(request, "provider_factory")() for _ in range(_THREADS)]

        def work(number: int) -> bool:
            own = Rig(providers[number], rig.root, rig.folder / f"thread-{number}")
            datas = [content(self.part_size // 2 + number, seed=number * 10 + turn) for turn in range(3)]
            for turn, data in enumerate(datas):
                own.upload(f"thread-{number}/{turn}", data)
            return all(own.download(f"thread-{number}/{turn}")[0] == data for turn, data in enumerate(datas))

        with (
            ThreadPoolExecutor(_THREADS) as pool,
            expect("threads that use different paths must not disturb each other"),
        ):
            right = list(pool.map(work, range(_THREADS), timeout=5 * self.patience))
        require(all(right), "threads that use different paths must not disturb each other", right)
        require(len(rig.names()) == 3 * _THREADS, "each thread's objects must be there", rig.names())
        if not shared:
            for provider in providers:
                provider.close()
