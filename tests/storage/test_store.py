"""Stores: made when needed, one provider for each thread that needs its own, closed exactly once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from faas_supervisor.config import Provider
from faas_supervisor.errors import (
    AuthenticationFailed,
    ConfigurationError,
    CredentialsError,
    InvalidConfiguration,
    PluginError,
)
from faas_supervisor.storage import MemoryBudget, ProviderSpec
from faas_supervisor.storage._store import Store, Stores
from tests.storage.stand_ins import Factory, OneThread, Shelf

TIMEOUT = 30


def stores_of(factory, *, names=("shelf.default",), **provider):
    providers = {name: Provider(name, "shelf", settings=SimpleNamespace(), **provider) for name in names}
    spec = ProviderSpec("shelf", SimpleNamespace, factory)
    return Stores(providers, lambda _: spec, MemoryBudget(1000))


class TestOpening:
    def test_a_provider_is_made_at_the_first_use_only(self):
        factory = Factory()
        with stores_of(factory, names=("shelf.a", "shelf.b")) as stores:
            assert factory.made == []
            assert stores.open("shelf.a") is stores.open("shelf.a")
            assert len(factory.made) == 1

    def test_it_gets_the_budget_that_all_share(self):
        factory = Factory()
        with stores_of(factory, names=("shelf.a", "shelf.b")) as stores:
            stores.open("shelf.a")
            stores.open("shelf.b")
            first, second = factory.made
            assert first.memory is second.memory
            assert first.memory.total == 1000

    def test_threads_that_open_it_at_once_get_one(self):
        """Two would mean that one is never closed."""
        slow = threading.Barrier(2)

        class Slow(Factory):
            def __call__(self, settings=None):
                made = super().__call__(settings)
                with pytest.raises(threading.BrokenBarrierError):
                    slow.wait(0.2)
                return made

        factory = Slow()
        with stores_of(factory) as stores, ThreadPoolExecutor(8) as pool:
            opened = set(pool.map(stores.open, ["shelf.default"] * 8))
        assert len(opened) == 1
        assert [provider.closed for provider in factory.made] == [1]

    def test_an_unknown_name_is_told_with_those_that_are_known(self):
        with stores_of(Factory(), names=("shelf.a", "shelf.b")) as stores:
            with pytest.raises(ConfigurationError, match=r"shelf.c is not configured.*shelf.a, shelf.b"):
                stores.open("shelf.c")

    def test_one_that_is_only_named_somewhere_is_not_configured(self):
        with stores_of(Factory(), names=("shelf.c",), implied=True) as stores:
            with pytest.raises(ConfigurationError, match=r"shelf.c is not configured.*\(configured: none\)"):
                stores.open("shelf.c")

    def test_a_missing_plugin_is_told(self):
        with stores_of(Factory(), unusable="no plugin") as stores, pytest.raises(PluginError, match="no plugin"):
            stores.open("shelf.default")

    def test_missing_credentials_are_told_all_at_once(self):
        with stores_of(Factory(), missing=("no key", "no secret")) as stores:
            with pytest.raises(CredentialsError, match="no key; no secret"):
                stores.open("shelf.default")


class TestFactoriesThatFail:
    @pytest.mark.parametrize("error", [InvalidConfiguration("bad endpoint"), AuthenticationFailed("no")])
    def test_our_own_errors_say_which_provider(self, error):
        def factory(_):
            raise error

        with stores_of(factory) as stores, pytest.raises(type(error), match="shelf.default.*set-up") as caught:
            stores.open("shelf.default")
        assert caught.value.failure is error.failure

    def test_anything_else_is_the_plugins_failure(self):
        def factory(_):
            raise ZeroDivisionError("inside")

        with stores_of(factory) as stores, pytest.raises(PluginError, match="shelf.default.*inside") as caught:
            stores.open("shelf.default")
        assert isinstance(caught.value.__cause__, ZeroDivisionError)

    def test_one_that_makes_nothing_is_the_plugins_failure(self):
        with stores_of(lambda _: None) as stores, pytest.raises(PluginError, match="shelf.default"):
            stores.open("shelf.default")

    def test_it_may_work_the_next_time(self):
        answers = [ZeroDivisionError("inside"), None]

        def factory(_):
            if error := answers.pop(0):
                raise error
            return Shelf()

        with stores_of(factory) as stores:
            with pytest.raises(PluginError):
                stores.open("shelf.default")
            assert stores.open("shelf.default").name == "shelf.default"


class TestThreads:
    def at_once(self, store, count):
        meeting = threading.Barrier(count)

        def work(_):
            with store.borrow() as provider:
                meeting.wait(TIMEOUT)
                return provider

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(work, range(count)))

    def test_a_safe_provider_is_shared(self):
        store = Store("shelf.a", Factory())
        assert len(set(self.at_once(store, 4))) == 1

    def test_an_unsafe_one_is_made_for_each_thread(self):
        factory = Factory(OneThread)
        store = Store("shelf.a", factory)
        assert len(set(self.at_once(store, 4))) == 4
        with store.borrow() as provider, store.borrow() as again:
            assert provider is again is factory.made[0]

    def test_that_of_a_thread_that_has_ended_is_closed(self):
        """Threads come and go in a process that handles a thousand events."""
        factory = Factory(OneThread)
        store = Store("shelf.a", factory)
        for _ in range(3):
            self.at_once(store, 1)
        with store.borrow():
            assert [provider.closed for provider in factory.made] == [0, 1, 1, 1]

    def test_all_of_them_are_closed_once(self):
        factory = Factory(OneThread)
        with stores_of(factory) as stores:
            self.at_once(stores.open("shelf.default"), 4)
        assert [provider.closed for provider in factory.made] == [1] * 5


class TestRenewal:
    """Providers are made anew, where their credentials may have changed since."""

    def test_one_invocation_has_just_read_them(self):
        store = Store("shelf.a", Factory())
        assert not store.renew(store.generation)

    @pytest.mark.parametrize("kind", [Shelf, OneThread])
    def test_what_follows_gets_new_ones_and_the_old_are_closed_when_nobody_uses_them(self, kind):
        factory, reads = Factory(kind), []
        store = Store("shelf.a", factory, lambda: reads.append(1))
        with store.borrow() as old:
            assert store.renew(0)
            with store.borrow() as new:
                assert new is not old
            assert old.closed == 0
        assert (old.closed, new.closed, reads) == (1, 0, [1])
        store.close()
        assert [provider.closed for provider in factory.made] == [1, 1]

    def test_of_many_that_were_refused_one_renews(self):
        factory, reads = Factory(), []
        store = Store("shelf.a", factory, lambda: reads.append(1))
        assert [store.renew(0) for _ in range(3)] == [True] * 3
        assert reads == [1]

    def test_a_store_that_refuses_everything_is_not_renewed_for_every_file(self):
        store = Store("shelf.a", Factory(), lambda: None)
        assert store.renew(0)
        assert not store.renew(1)


class TestClosing:
    def test_a_failing_invocation_closes_them_too(self):
        factory = Factory()

        def invocation():
            with stores_of(factory) as stores:
                stores.open("shelf.default")
                stores.open("shelf.unknown")

        with pytest.raises(ConfigurationError):
            invocation()
        assert [provider.closed for provider in factory.made] == [1]

    def test_one_that_fails_to_close_is_a_warning_and_stops_no_other(self, caplog):
        class Stuck(Shelf):
            def close(self):
                super().close()
                raise OSError("still busy")

        factory = Factory(Stuck)
        with stores_of(factory, names=("shelf.a", "shelf.b")) as stores:
            stores.open("shelf.a")
            stores.open("shelf.b")
        assert [provider.closed for provider in factory.made] == [1, 1]
        assert "shelf.a: closing failed: OSError: still busy" in caplog.text

    def test_what_was_never_opened_is_not_made_to_be_closed(self):
        factory = Factory()
        with stores_of(factory):
            pass
        assert factory.made == []
