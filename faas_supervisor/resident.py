"""What stays in a process that handles many events: plugins, configuration, open stores.

They are renewed when what they were made from changes: Kubernetes swaps the files of a secret or of a ConfigMap in a
running container.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from faas_supervisor import config
from faas_supervisor.call import configure, read_function, secrets_folder, stores_of
from faas_supervisor.logs import log
from faas_supervisor.plugins import Plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeAlias

    from faas_supervisor.call import Call
    from faas_supervisor.config import Function, Provider
    from faas_supervisor.storage._store import Stores

    State: TypeAlias = frozenset[tuple[object, ...]]

__all__ = ["Resident"]


class Resident:
    """Means for many invocations, several at a time; see `faas_supervisor.call.Means`.

    # Behavior
    - The configuration is read at the first call, and again when its file or a mounted secret is another by now.
    - Invocations that run keep the configuration and the stores that they began with.
    - A server that refuses the credentials has them read again, and the provider made anew, once.
    - A configuration with faults is an error of each invocation, until it is mended.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.plugins: Final = Plugins(environment)
        self._lock = threading.RLock()
        self._current: _Generation | None = None

    def function(self, call: Call) -> Function:
        """Return the function as it is configured by now. Raises as `configure`."""
        with self._lock:
            state = _state(call)
            if self._current is None or self._current.state != state:
                function = configure(call, self.plugins)
                if self._current is not None:
                    log.info("the configuration or a credential changed, and is read again")
                    self._retire(self._current)
                self._current = _Generation(function, state, stores_of(function, self.plugins, self._rereading(call)))
            return self._current.function

    @contextmanager
    def stores(self, function: Function) -> Iterator[Stores]:
        """Give the stores of `function`, which stay open."""
        with self._lock:
            generation = self._current
            if generation is not None and generation.function is function:
                generation.users += 1
            else:
                generation = None
        if generation is None:  # it was replaced since the invocation asked for it
            with stores_of(function, self.plugins) as stores:
                yield stores
            return
        try:
            yield generation.stores
        finally:
            with self._lock:
                generation.users -= 1
                self._close_if_done(generation)

    def close(self) -> None:
        """Close the stores; invocations that run still use them until they end."""
        with self._lock:
            if self._current is not None:
                self._retire(self._current)
                self._current = None

    def _rereading(self, call: Call) -> Callable[[], Mapping[str, Provider]]:
        return lambda: read_function(call, self.plugins).providers

    def _retire(self, generation: _Generation) -> None:
        generation.retired = True
        self._close_if_done(generation)

    def _close_if_done(self, generation: _Generation) -> None:
        if generation.retired and generation.users == 0:
            generation.stores.close()


class _Generation:
    """A configuration, the stores opened for it, and how many invocations use them."""

    def __init__(self, function: Function, state: State, stores: Stores) -> None:
        self.function: Final = function
        self.state: Final = state
        self.stores: Final = stores
        self.users = 0
        self.retired = False


def _state(call: Call) -> State:
    """Return what tells whether a file that the configuration comes from is another than before."""
    secrets = secrets_folder(call.environment)
    files = [str(file) for file in config.places(call.config)]
    for folder in _below(str(secrets)):
        files.extend(_below(folder))
    return frozenset(map(_identity, files))


def _below(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries]
    except OSError:  # whoever reads it will say so
        return []


def _identity(file: str) -> tuple[object, ...]:
    try:
        status = os.stat(file)  # noqa: PTH116  # for every request; follows links, which Kubernetes swaps
    except OSError as error:
        return file, error.errno
    return file, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
