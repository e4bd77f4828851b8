"""What goes wrong is told by the right class, with its cause and without secrets."""

from __future__ import annotations

import base64
import logging
import traceback
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import pytest

from faas_supervisor.errors import (
    AuthenticationFailed,
    InsufficientStorage,
    NotFound,
    PermissionDenied,
    StorageError,
    printable,
)
from faas_supervisor.storage import ObjectRef
from faas_supervisor.testing._base import ContractBase, given
from faas_supervisor.testing._rig import Recorder, Rig, expect, require

if TYPE_CHECKING:
    from collections.abc import Callable

    from faas_supervisor.storage import StorageProvider

__all__ = ["Access", "Failures", "Secrecy"]


def _download(rig: Rig, provider: StorageProvider, path: str) -> None:
    provider.download(ObjectRef(path), rig.arrivals / "refused", Recorder())


def _upload(rig: Rig, provider: StorageProvider, path: str) -> None:
    source = rig.local("source")
    source.write_bytes(b"refused")
    provider.upload(source, path, Recorder())


_OPERATIONS: Final[dict[str, Callable[[Rig, StorageProvider, str], None]]] = {
    "download": _download,
    "upload": _upload,
    "list": lambda _rig, provider, path: list(provider.list(path)).clear(),
    "stat": lambda _rig, provider, path: [provider.stat(path)].clear(),
    "delete": lambda _rig, provider, path: provider.delete(path),
}

# Shorter texts would be found by chance.
_SHORTEST_FORM: Final = 6

# The answer to a HEAD request has no body, so it can't say which of the two kinds of refusal it is.
_MAY_BEGIN_WITH_HEAD: Final = {"stat", "download"}


class Failures(ContractBase):
    """Each kind of failure has its class, by which the core decides what to do."""

    @pytest.mark.parametrize("operation", ["download", "stat"])
    def test_a_missing_object_is_not_found(self, rig: Rig, operation: str) -> None:
        """Also when its folder is missing, or is an object."""
        rig.upload("object", b"x")
        for name in ("missing", "missing/folder/object", "object/below"):
            error = _failure(rig, rig.provider, operation, rig.path(name))
            require(isinstance(error, NotFound), "a missing object must raise `NotFound`", error)
            _require_well_made(error)
        left = set(rig.leftovers()) - {"refused"}
        require(not left, "a failed download must leave no file but `destination`", left)

    def test_a_folder_is_not_found(self, rig: Rig) -> None:
        """A folder is no object."""
        rig.upload("folder/object", b"x")
        for operation in ("download", "stat"):
            error = _failure(rig, rig.provider, operation, rig.path("folder"))
            require(isinstance(error, NotFound), "a folder must raise `NotFound`", error)

    def test_deleting_what_is_not_there_is_success(self, rig: Rig) -> None:
        """So that two may clear up at the same time. Deleting a folder's name leaves its objects."""
        rig.upload("folder/object", b"x")
        for name in ("missing", "missing/object", "folder"):
            with expect("deleting what is not there must be success"):
                rig.provider.delete(rig.path(name))
        require(rig.names() == ["folder/object"], "`delete` must remove one object, not a folder", rig.names())

    def test_a_full_store_is_insufficient_storage(self, request: pytest.FixtureRequest, rig: Rig) -> None:
        """Nothing but an upload that fits helps, so it is not tried again."""
        error = _failure(rig, given(request, "full_provider"), "upload", rig.path("object"))
        require(isinstance(error, InsufficientStorage), "a full store must raise `InsufficientStorage`", error)
        _require_well_made(error)
        require(rig.names() == [], "a failed upload must leave nothing visible", rig.names())


class Access(ContractBase):
    """What a server refuses."""

    @pytest.mark.parametrize("operation", _OPERATIONS)
    def test_bad_credentials_are_named_so(self, request: pytest.FixtureRequest, rig: Rig, operation: str) -> None:
        """Whoever reads the log must know that the credentials are to be replaced."""
        error = _failure(rig, given(request, "bad_credentials_provider"), operation, rig.path("object"))
        kinds = (AuthenticationFailed, PermissionDenied) if operation in _MAY_BEGIN_WITH_HEAD else AuthenticationFailed
        require(isinstance(error, kinds), "bad credentials must raise `AuthenticationFailed`", error)
        _require_well_made(error)

    @pytest.mark.parametrize("operation", _OPERATIONS)
    def test_forbidden_is_permission_denied(self, request: pytest.FixtureRequest, rig: Rig, operation: str) -> None:
        """Good credentials that do not allow this."""
        rig.upload("object", b"x")
        error = _failure(rig, given(request, "forbidden_provider"), operation, rig.path("object"))
        require(isinstance(error, PermissionDenied), "what is forbidden must raise `PermissionDenied`", error)
        _require_well_made(error)

    @pytest.mark.parametrize("operation", ["download", "upload", "list", "stat"])
    def test_a_missing_bucket_is_not_found(self, request: pytest.FixtureRequest, rig: Rig, operation: str) -> None:
        """A bucket is never made by the way, and one that is missing is not merely empty."""
        if not rig.provider.capabilities.opaque_keys:
            return  # a store of folders makes its folders itself
        error = _failure(rig, rig.provider, operation, f"{given(request, 'missing_bucket')}/object")
        require(isinstance(error, NotFound), "a missing bucket must raise `NotFound`", error)
        _require_well_made(error)


class Secrecy(ContractBase):
    """No secret is seen, whatever happens and however much is logged."""

    def test_no_secret_is_seen(
        self, request: pytest.FixtureRequest, rig: Rig, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Neither in the log at DEBUG, nor in an error and its causes, nor in a `repr`."""
        secrets = given(request, "secrets")
        seen: list[str] = []
        with caplog.at_level(logging.DEBUG):
            rig.upload("object", b"x")
            rig.download("object")
            for provider in _all_providers(request, rig):
                seen.append(repr(provider))
                for attempt in _OPERATIONS.values():
                    try:
                        attempt(rig, provider, rig.path("missing"))
                    except StorageError as error:
                        seen += [str(error), repr(error), *traceback.format_exception(error)]
        everything = "\n".join([caplog.text, *seen])
        for secret in secrets:
            for form in _forms(secret):
                line = next((line for line in everything.splitlines() if form in line), None)
                require(line is None, "no log line, error or repr may show a secret, in any form", line)


def _all_providers(request: pytest.FixtureRequest, rig: Rig) -> list[Any]:
    found = [rig.provider]
    for name in ("bad_credentials_provider", "forbidden_provider"):
        try:
            found.append(given(request, name))
        except pytest.skip.Exception:
            continue
    return found


def _forms(secret: str) -> set[str]:
    """Return `secret` as it is, as in a URL, and as in the base64 of it and of anything that it is a part of."""
    raw = secret.encode()
    # In the base64 of something longer only the middle is the same, and it depends on where the secret begins.
    within = {base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4].decode() for shift in range(3)}
    forms = {secret, quote(secret, safe=""), base64.b64encode(raw).decode(), *within}
    return {form for form in forms if len(form) >= _SHORTEST_FORM}


def _failure(rig: Rig, provider: StorageProvider, operation: str, path: str) -> StorageError:
    """Return the error that the operation raises."""
    __tracebackhide__ = True
    try:
        _OPERATIONS[operation](rig, provider, path)
    except StorageError as error:
        return error
    pytest.fail(f"`{operation}` of {printable(path)!r} must raise a StorageError, but it returned")


def _require_well_made(error: StorageError) -> None:
    __tracebackhide__ = True
    caused = error.__context__ is None or error.__cause__ is not None
    require(caused, "an error that translates another one must be raised `from` it", error.__context__)
    require(not error.retryable, f"{type(error).__name__} must not be `retryable`: the next try fails the same way")
    require("\n" not in str(error), "an error is one line", str(error))
