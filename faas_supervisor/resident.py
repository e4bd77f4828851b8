"""What stays in a process that handles many events: plugins, configuration, open stores, warm scripts.

They are renewed when what they were made from changes: Kubernetes swaps the files of a secret or of a ConfigMap in a
running container.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Final

from faas_supervisor import config, script
from faas_supervisor.call import (
    Once,
    Opened,
    configure,
    find_script,
    read_function,
    secrets_folder,
    stores_of,
    warm_scripts,
)
from faas_supervisor.errors import SupervisorError
from faas_supervisor.logs import log
from faas_supervisor.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TypeAlias

    from faas_supervisor.call import Call
    from faas_supervisor.config import Function
    from faas_supervisor.script._warm import WarmScripts
    from faas_supervisor.storage._store import Stores

    State: TypeAlias = frozenset[tuple[object, ...]]

__all__ = ["Resident"]


class Resident:
    """Means for many invocations, several at a time; see `faas_supervisor.call.Means`.

    # Behavior
    - The configuration is read at the first call, and again when its file or a mounted secret is another by now.
    - Invocations that run keep the configuration, the stores and the warm scripts that they began with.
    - A server that refuses the credentials has them read again, and the provider made anew, once.
    - A configuration with faults is an error of each invocation, until it is mended.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment: Final = environment
        self._once: Final = Once(environment)
        self.plugins: Final = self._once.plugins
        self._lock = threading.RLock()
        self._current: _Generation | None = None

    def function(self, call: Call) -> Function:
        """Return the function as it is configured by now. Raises as `configure`."""
        retired = None
        with self._lock:
            state = _state(call)
            current = self._current
            if current is None or current.state != state:
                made = self._generation(configure(call, self.plugins), state, call)
                if current is not None:
                    log.info("the configuration or a credential changed, and is read again")
                retired, self._current, current = current, made, made
        if retired is not None:
            self._retire(retired)
        return current.function

    def prepare(self, call: Call) -> None:
        """Start a warm script now, if there is to be one, so that the first event finds its model loaded.

        What keeps it from starting is told in the log, and by every invocation until it is mended.
        """
        try:
            with self._lock:
                self.function(call)
                if self._current is not None:
                    self._current.prepare(call)
        except Exception as error:  # noqa: BLE001  # the border of a service that has to start, whatever is broken
            kind = "" if isinstance(error, SupervisorError) else f"internal error: {type(error).__name__}: "
            log.error("the script can't be started yet: %s%s", kind, error)

    @contextlib.contextmanager
    def opened(self, function: Function) -> Iterator[Opened]:
        """Give what is open for `function`, and stays so."""
        with self._lock:
            generation = self._current
            if generation is not None and generation.function is function:
                generation.users += 1
            else:
                generation = None
        if generation is None:  # it was replaced since the invocation asked for it
            with self._once.opened(function) as opened:
                yield opened
            return
        try:
            yield generation.opened
        finally:
            with self._lock:
                generation.users -= 1
                done = generation.is_done
            if done:
                generation.close()

    def close(self) -> None:
        """Close the stores; invocations that run still use them until they end."""
        with self._lock:
            current, self._current = self._current, None
        if current is not None:
            self._retire(current)

    def _generation(self, function: Function, state: State, call: Call) -> _Generation:
        stores = stores_of(function, self.plugins, lambda: read_function(call, self.plugins).providers)
        warm = warm_scripts(function, self._environment, most=_most(self._environment)) if function.warm else None
        return _Generation(function, state, stores, warm)

    def _retire(self, generation: _Generation) -> None:
        with self._lock:
            generation.retired = True
            done = generation.is_done
        if done:  # not under the lock: a script may take its time to end, and the others need not wait for it
            generation.close()


class _Generation:
    """A configuration, the stores opened for it, and how many invocations use them."""

    def __init__(self, function: Function, state: State, stores: Stores, warm: WarmScripts | None) -> None:
        self._resources: Final = contextlib.ExitStack()
        self.function: Final = function
        self.state: Final = state
        self.opened: Final = Opened(stores, script.run if warm is None else warm.run)
        self.users = 0
        self.retired = False
        self._warm: Final = warm

    @property
    def is_done(self) -> bool:
        """Whether nobody uses it any more, and nobody will."""
        return self.retired and self.users == 0

    def prepare(self, call: Call) -> None:
        """Start a warm script, if that is what the function has. Raises as `find_script` and `WarmScripts.prepare`."""
        if self._warm is None:
            return
        # A script out of $SCRIPT has to stay until its interpreter has read it.
        folder = self._resources.enter_context(Workspace(call.environment)).root
        argv = script.command(find_script(call, self.function, folder))
        self._warm.prepare(argv, setup=script.warm_setup(self.function.limits), grace=self.function.kill_grace)

    def close(self) -> None:
        """Close everything."""
        with self._resources:
            self.opened.stores.close()
            if self._warm is not None:
                self._warm.close()


def _most(environment: Mapping[str, str]) -> int:
    """Return how many warm scripts there may be: as many as requests at a time, where that has a limit."""
    text = environment.get("max_inflight", "")
    return max(1, int(text)) if text.isascii() and text.isdecimal() else 1


def _state(call: Call) -> State:
    """Return what tells whether a file that the configuration comes from is another than before."""
    secrets = secrets_folder(call.environment)
    files = [str(file) for file in config.places(call.config)]
    for folder in _below(str(secrets)):
        files.extend(_below(folder))
    return frozenset(map(_identity, files))


def _below(folder: str) -> list[str]:
    """Return what is in a mounted folder, but for the folders behind it, which Kubernetes makes, swaps and removes."""
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if not entry.name.startswith(".")]
    except OSError:  # whoever reads it will say so
        return []


def _identity(file: str) -> tuple[object, ...]:
    try:
        status = os.stat(file)  # noqa: PTH116  # for every request; follows links, which Kubernetes swaps
    except OSError as error:
        return file, error.errno
    return file, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
