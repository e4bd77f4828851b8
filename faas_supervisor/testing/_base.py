"""What a plugin author sets, and the fixtures that follow from it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from faas_supervisor.testing._rig import Rig

if TYPE_CHECKING:
    from pathlib import Path

    from faas_supervisor.storage import StorageProvider

__all__ = ["ContractBase", "given", "skip_unless"]

MIB = 1024 * 1024


@pytest.fixture
def _any() -> None: ...


_Fixture = type(_any)


def given(request: pytest.FixtureRequest, name: str) -> Any:  # noqa: ANN401  # whatever the author gives
    """Return what the test class gives as the attribute or fixture `name`, and skip the test if that is None."""
    declared = inspect.getattr_static(request.cls, name)
    if declared is not None and not isinstance(declared, _Fixture):
        return getattr(request.instance, name)
    try:
        value = request.getfixturevalue(name)
    except pytest.FixtureLookupError as error:
        if error.argname != name:
            raise
        value = None
    if value is None:
        pytest.skip(f"{request.cls.__name__} gives no `{name}`, so this part of the contract is not tested")
    return value


def skip_unless(rig: Rig, capability: str) -> None:
    """Skip the test of something that the provider says it can't do."""
    if not getattr(rig.provider.capabilities, capability):
        pytest.skip(f"{type(rig.provider).__name__} declares no `{capability}`")


class ContractBase:
    """The settings of `StorageContract`.

    Each is a class attribute or a fixture of that name in the class; where the default is None, a fixture from
    anywhere.
    """

    root: Any = ""
    """What the kit puts before every path: in object stores a bucket, or a bucket and a folder."""

    part_size: ClassVar[int] = 8 * MIB
    """Bytes in one part of a transfer by parts; sizes around it are tried."""

    page_size: ClassVar[int] = 10
    """Entries in one page of a listing; one and a half pages are listed."""

    memory_parts: ClassVar[int] = 8
    """How many parts a transfer may hold in memory, beside 32 MiB: four times its concurrency."""

    memory_size: ClassVar[int] = 256 * MIB
    """Bytes in the object whose transfer is measured."""

    stall_time: ClassVar[float] = 30.0
    """Seconds after which a provider made by `fault_url` must have given up on a silent server."""

    patience: ClassVar[float] = 60.0
    """Seconds that any other single operation may take before the kit calls it hung."""

    refused_names: ClassVar[frozenset[str]] = frozenset()
    """The ids of those names (`names.NAMES`) that the store can't hold; they must raise `InvalidPath`."""

    reports_retry_after: ClassVar[bool] = True
    """Whether errors carry the server's Retry-After. Set to False where the SDK hides it."""

    secrets: ClassVar[tuple[str, ...] | None] = None
    """The secrets in the settings of all providers given here; none may ever be seen. Empty if there are none."""

    model_examples: ClassVar[int] = 8
    """How many random histories the model test plays."""

    model_steps: ClassVar[int] = 25
    """How many operations each history has."""

    bad_credentials_provider: Any = None
    """Fixture: the same store with credentials that it must refuse."""

    forbidden_provider: Any = None
    """Fixture: the same store with good credentials that allow nothing below `root`."""

    full_provider: Any = None
    """Fixture: a provider whose store is full."""

    missing_bucket: Any = None
    """Object stores: the name of a bucket that does not exist."""

    make_folder: Any = None
    """A function `(path) -> None` that makes an empty folder (in object stores a marker) in the store."""

    provider_factory: Any = None
    """Fixture: a function without arguments that makes another provider like `provider`. It is also called in
    another process, so it must be picklable: `functools.partial(MyProvider, settings)` is."""

    server_url: Any = None
    """The URL of the HTTP server that `provider` speaks to, for the tests with faults."""

    fault_url: Any = None
    """A function `(url) -> StorageProvider` that makes a provider like `provider` which speaks to `url`, with
    time-outs well below `stall_time`. The kit closes it."""

    @pytest.fixture
    def provider(self) -> StorageProvider:
        """The provider under test, with nothing below `root`. Every contract overrides this."""
        pytest.fail(f"{type(self).__name__} must define the fixture `provider`")

    @pytest.fixture
    def rig(self, request: pytest.FixtureRequest, provider: StorageProvider, tmp_path: Path) -> Rig:
        """The provider under test with its root and a local folder."""
        return Rig(provider, given(request, "root"), tmp_path)
