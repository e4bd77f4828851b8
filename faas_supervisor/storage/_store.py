"""The providers of one invocation: made when first needed, shared or one for each thread, closed once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Self

from faas_supervisor.errors import ConfigurationError, CredentialsError, PluginError, StorageError, SupervisorError
from faas_supervisor.logs import log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from faas_supervisor.config._model import Provider
    from faas_supervisor.storage._budget import MemoryBudget
    from faas_supervisor.storage._provider import Capabilities, ProviderSpec, StorageProvider

__all__ = ["Store", "Stores"]


class Store:
    """One configured storage, `minio.default`, and the provider instances that serve it."""

    def __init__(self, name: str, make: Callable[[], StorageProvider]) -> None:
        self.name: Final = name
        self._make = make
        self._first = make()
        self.capabilities: Final[Capabilities] = self._first.capabilities
        self._opened = [self._first]
        self._of_thread = threading.local()
        self._of_thread.provider = self._first
        self._lock = threading.Lock()

    def provider(self) -> StorageProvider:
        """Return the provider for the calling thread."""
        if self.capabilities.thread_safe:
            return self._first
        own: StorageProvider | None = getattr(self._of_thread, "provider", None)
        if own is None:
            own = self._make()
            self._of_thread.provider = own
            with self._lock:
                self._opened.append(own)
        return own

    def close(self) -> None:
        """Close every provider; one that fails to close is only worth a line in the log."""
        for provider in self._opened:
            try:
                provider.close()
            except Exception as error:  # noqa: BLE001  # the border to a plugin
                log.warning("%s: closing failed: %s: %s", self.name, type(error).__name__, error)


class Stores:
    """Opens the configured providers by name; a context manager that closes them."""

    def __init__(
        self, providers: Mapping[str, Provider], spec: Callable[[str], ProviderSpec], memory: MemoryBudget
    ) -> None:
        self._providers = providers
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
        provider = self.require(name)
        spec = self._spec(provider.type)

        def make() -> StorageProvider:
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

        return Store(name, make)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for store in self._open.values():
            store.close()
        self._open.clear()
