"""What a front hands over, and the function that it is for."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from faas_supervisor import config, logs, script
from faas_supervisor.cgroup import memory_limit
from faas_supervisor.errors import ConfigurationError
from faas_supervisor.plugins import Plugins
from faas_supervisor.stop import Stop
from faas_supervisor.storage import MemoryBudget, Secret
from faas_supervisor.storage._retry import Retry
from faas_supervisor.storage._store import Stores
from faas_supervisor.storage._transfer import Transfer
from faas_supervisor.values import declared, field, replace, value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from faas_supervisor.config import Function, Provider, Source
    from faas_supervisor.script import Sink
    from faas_supervisor.script._warm import WarmScripts

__all__ = [
    "Call",
    "Client",
    "Means",
    "Once",
    "Opened",
    "configure",
    "credential_variables",
    "find_script",
    "find_source",
    "read_function",
    "secrets_folder",
    "stores_of",
    "transfer_of",
    "warm_scripts",
]

_MEMORY: Final = 64 * 1024 * 1024

# A Job starts a warm script no more often than it has records.
_LONGEST_PAUSE: Final = 1.0


@value
class Client:
    """Who waits for the answer, and what it can be told.

    Attributes:
        raw: It wants the bytes of an output file, not their base64.
        combined: The front wants the script's standard error in the answer, as a watchdog's `combine_output` says.
        response: The front passes on the status and the headers that the script sets.
    """

    raw: bool = False
    combined: bool = True
    response: bool = False


@value
class Call:
    """One event as it came through a front, with everything that the invocation takes from outside.

    Attributes:
        body: The event's bytes, or a file that holds them, which the invocation may move away.
        environment: The container's environment.
        stdout: Takes the answer, and nothing else.
        stderr: Shows what is no answer.
        headers: Those of the request, lower-case names; empty where the protocol has none.
        config: A configuration file to use instead of the usual places.
        script: A script to use instead of the usual places.
        storage: A folder that stands in for every store: `minio.default` becomes its subfolder of that name.
        stop: Set when the invocation must end.
        watch: Told about transfers under way: label, bytes moved, total.
        folder: A private folder that the workspace is made in; None for where temporary files usually go.
        client: Who waits for the answer; None in a Job.
    """

    body: bytes | Path
    environment: Mapping[str, str]
    stdout: Sink
    stderr: Sink
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    config: Path | None = None
    script: Path | None = None
    storage: Path | None = None
    stop: Stop = field(default_factory=Stop)
    watch: Callable[[str, int, int | None], None] | None = None
    folder: Path | None = None
    client: Client | None = None


class Means(Protocol):
    """What an invocation works with: made for it alone, or shared with others."""

    @property
    def plugins(self) -> Plugins:
        """What is installed, and what of it is loaded."""

    def function(self, call: Call) -> Function:
        """Return the function that `call` is for. Raises as `configure`."""

    def opened(self, function: Function) -> AbstractContextManager[Opened]:
        """Give what is open for `function`."""


@value
class Opened:
    """What is open for one configuration: its stores, and what runs its script."""

    stores: Stores
    run: script.Run


class Once:
    """The means of one invocation, made for it and freed by it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.plugins: Final = Plugins(environment)
        self._environment: Final = environment

    def function(self, call: Call) -> Function:
        """Return the function that `call` is for. Raises as `configure`."""
        return configure(call, self.plugins)

    @contextmanager
    def opened(self, function: Function) -> Iterator[Opened]:
        """Give what is open for `function`, and is closed in the end."""
        with stores_of(function, self.plugins) as stores:
            if not function.warm:
                yield Opened(stores, script.run)
                return
            with warm_scripts(function, self._environment, longest_pause=_LONGEST_PAUSE) as warm:
                yield Opened(stores, warm.run)


def configure(call: Call, plugins: Plugins) -> Function:
    """Return the function that `call` is for, and let the log speak as it says.

    Raises:
        ConfigurationError: The configuration has faults.
        PluginError: A plugin is broken, and plugins are to be strict.
    """
    plugins.load_strictly()
    function = read_function(call, plugins)
    logs.configure(function.log_level, function.log_format)
    for warning in function.warnings:
        logs.log.warning("%s", warning)
    if call.storage is not None:
        function = _in_folder(function, call.storage, plugins)
    return function


def read_function(call: Call, plugins: Plugins) -> Function:
    """Return the function as its configuration has it. Raises as `configure`."""
    return config.load(
        find_source(call.environment, call.config),
        environment=call.environment,
        settings=plugins.settings,
        secrets_dir=secrets_folder(call.environment),
    )


def find_source(environment: Mapping[str, str], explicit: Path | None) -> Source:
    """Return the configuration's text: of the file `explicit`, else from where OSCAR puts it.

    Raises:
        ConfigurationError: There is none.
    """
    source = config.find(environment, explicit=explicit)
    if source is None:
        raise ConfigurationError(
            "there is no configuration",
            hint="mount /oscar/config/function_config.yaml, set FUNCTION_CONFIG, or name a file by --config",
        )
    return source


def secrets_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder below which credentials are mounted, one folder for each provider."""
    return Path(environment.get("FAAS_SUPERVISOR_SECRETS_DIR") or "/var/run/secrets/providers")


def find_script(call: Call, function: Function, folder: Path) -> Path:
    """Return the script of `call`; one that comes in `$SCRIPT` is written into `folder`.

    Raises:
        ConfigurationError: There is none.
    """
    beside = None if function.file.startswith("$") else Path(function.file)
    return script.find(call.environment, explicit=call.script, beside=beside, folder=folder)


def credential_variables(function: Function) -> frozenset[str]:
    """Return the names of the environment variables that credentials of providers were taken from."""
    return frozenset(
        origin.removeprefix("$")
        for path, origin in function.origins.items()
        if origin.startswith("$") and _is_credential(path, function)
    )


def _is_credential(path: str, function: Function) -> bool:
    section, _, rest = path.partition(".")
    name, _, setting = rest.rpartition(".")
    provider = function.providers.get(name)
    if section != "storage_providers" or provider is None or provider.settings is None:
        return False
    known = declared(type(provider.settings))
    return isinstance(getattr(provider.settings, setting), Secret) or known[setting].metadata["credential"]


def stores_of(
    function: Function, plugins: Plugins, reread: Callable[[], Mapping[str, Provider]] | None = None
) -> Stores:
    """Return the stores of `function`, which share one memory budget; see `Stores` for `reread`."""
    return Stores(function.providers, plugins.spec, MemoryBudget(function.transfer_memory or _memory()), reread)


def warm_scripts(
    function: Function, environment: Mapping[str, str], *, most: int = 1, longest_pause: float = 10.0
) -> WarmScripts:
    """Return the warm scripts of `function`; none is started yet. See `WarmScripts`."""
    from faas_supervisor.script._warm import WarmScripts  # noqa: PLC0415  # few functions have them

    secrets = credential_variables(function)
    base = script.base_environment(environment, variables=function.environment, secrets=secrets)
    return WarmScripts(base, environment, most=most, longest_pause=longest_pause)


def transfer_of(function: Function, call: Call) -> Transfer:
    """Return the engine as `function` configures it."""
    retry = Retry(deadline=function.transfer_deadline)
    return Transfer(retry, function.transfer_files, call.stop, call.watch, skip_existing=function.skip_existing)


def _memory() -> int:
    """Return 64 MiB, or an eighth of the container's memory where that is less: the rest is the script's."""
    limit = memory_limit()
    return _MEMORY if limit is None else min(_MEMORY, limit // 8)


def _in_folder(function: Function, folder: Path, plugins: Plugins) -> Function:
    """Put a local folder in the place of every provider: a whole service tried out without a server."""
    settings = plugins.settings("file")

    def local(provider: Provider) -> Provider:
        made = settings(root=str(folder / provider.name))
        # A slip of the pen stays one; defaults of a type are as good as anything, since they aren't used.
        return replace(provider, type="file", settings=made, missing=(), unusable="", implied=provider.slip)

    return replace(function, providers={name: local(provider) for name, provider in function.providers.items()})
