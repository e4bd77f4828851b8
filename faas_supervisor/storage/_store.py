"""The providers of an invocation, or of many: made when first needed, shared or one for each thread, closed once."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final, Self

from faas_supervisor.errors import ConfigurationError, CredentialsError, PluginError, StorageError, SupervisorError
from faas_supervisor.logs import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from faas_supervisor.config._model import Provider
    from faas_supervisor.storage._budget import MemoryBudget
    from faas_supervisor.storage._provider import Capabilities, ProviderSpec, StorageProvider

__all__ = ["Store", "Stores"]

_RENEWAL_APART: Final = 10.0


class _Opened:
    """One provider instance, the thread that it was made for, and how many use it."""

    __slots__ = ("provider", "retired", "thread", "users")

    def __init__(self, provider: StorageProvider) -> None:
        self.provider: Final = provider
        self.thread: Final = threading.current_thread()
        self.users = 0
        self.retired = False


class Store:
    """One configured storage, `minio.default`, and the provider instances that serve it.

    `renew` is called before providers are made anew, to read their settings again; None where one invocation is
    all that they serve, which has just read them.
    """

    def __init__(self, name: str, make: Callable[[], StorageProvider], renew: Callable[[], None] | None = None) -> None:
        self.name: Final = name
        self._make = make
        self._renew = renew
        first = _Opened(make())
        self.capabilities: Final[Capabilities] = first.provider.capabilities
        self.generation = 0
        self._opened = [first]
        self._refused_until = 0.0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def borrow(self) -> Iterator[StorageProvider]:
        """Give the provider that all threads share, or that of the calling one."""
        opened = self._taken()
        try:
            yield opened.provider
        finally:
            self._given_back(opened)

    def renew(self, generation: int) -> bool:
        """Retire the providers of `generation`, and return whether those that follow may have other credentials.

        What is under way with the old ones may end. Another thread may have renewed them already. A server that
        refuses everything is not asked twice for every file: there is one renewal in ten seconds.
        """
        if self._renew is None:
            return False
        with self._lock:
            if generation != self.generation:
                return True
            if time.monotonic() < self._refused_until:
                return False
            self._refused_until = time.monotonic() + _RENEWAL_APART
            self.generation += 1
            for opened in self._opened:
                opened.retired = True
        self._renew()
        self._close_idle()
        return True

    def close(self) -> None:
        """Close every provider; one that fails to close is only worth a line in the log."""
        with self._lock:
            closing, self._opened = self._opened, []
        for opened in closing:
            self._close(opened)

    def _taken(self) -> _Opened:
        self._close_idle()
        with self._lock:
            opened = next(filter(self._suits, self._opened), None)
            if opened is None:
                opened = _Opened(self._make())
                self._opened.append(opened)
            opened.users += 1
            return opened

    def _suits(self, opened: _Opened) -> bool:
        ours = self.capabilities.thread_safe or opened.thread is threading.current_thread()
        return ours and not opened.retired

    def _given_back(self, opened: _Opened) -> None:
        with self._lock:
            opened.users -= 1
        if opened.retired:
            self._close_idle()

    def _close_idle(self) -> None:
        """Close what nobody uses that is retired, or was made for a thread that has ended since."""
        with self._lock:
            closing = [opened for opened in self._opened if opened.users == 0 and self._done_with(opened)]
            self._opened = [opened for opened in self._opened if opened not in closing]
        for opened in closing:
            self._close(opened)

    def _done_with(self, opened: _Opened) -> bool:
        return opened.retired or not (self.capabilities.thread_safe or opened.thread.is_alive())

    def _close(self, opened: _Opened) -> None:
        try:
            opened.provider.close()
        except Exception as error:  # noqa: BLE001  # the border to a plugin
            log.warning("%s: closing failed: %s: %s", self.name, type(error).__name__, error)


class Stores:
    """Opens the configured providers by name; a context manager that closes them.

    `reread` returns the providers as they are configured by now, for a process that outlives its credentials.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        spec: Callable[[str], ProviderSpec],
        memory: MemoryBudget,
        reread: Callable[[], Mapping[str, Provider]] | None = None,
    ) -> None:
        self._providers = providers
        self._reread = reread
        self._spec = spec
        self._memory = memory
        self._open: dict[str, Store] = {}
        self._opening = threading.Lock()

    def require(self, name: str) -> Provider:
        """Return the configuration of the provider `name` if it can be used.

        Raises:
            ConfigurationError: It isn't configured.
            PluginError: Its plugin is missing or broken.
            CredentialsError: It lacks a credential.
        """
        provider = self._providers.get(name)
        if provider is None or provider.slip:
            known = ", ".join(sorted(name for name, other in self._providers.items() if not other.implied)) or "none"
            raise ConfigurationError(
                f"the storage provider {name} is not configured",
                hint=f"add it below storage_providers (configured: {known})",
            )
        if provider.unusable:
            raise PluginError(provider.unusable)
        if provider.missing:
            raise CredentialsError("; ".join(provider.missing))
        return provider

    def open(self, name: str) -> Store:
        """Return the store `name`, made at the first call. Raises as `require`, and what its factory raises."""
        with self._opening:
            if name not in self._open:
                self._open[name] = self._opened(name)
            return self._open[name]

    def _opened(self, name: str) -> Store:
        spec = self._spec(self.require(name).type)

        def make() -> StorageProvider:
            provider = self.require(name)
            try:
                made = spec.factory(provider.settings)
                made.memory = self._memory
            except StorageError as error:
                raise error.located(provider=name, path="", phase="set-up") from error.__cause__
            except SupervisorError:
                raise
            except Exception as error:
                raise PluginError(f"{name}: the plugin for {provider.type} failed to start: {error}") from error
            return made

        return Store(name, make, self._renew if self._reread else None)

    def _renew(self) -> None:
        if self._reread is not None:
            self._providers = self._reread()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every store."""
        for store in self._open.values():
            store.close()
        self._open.clear()
