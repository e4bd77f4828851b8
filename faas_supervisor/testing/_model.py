"""Random histories of operations, checked against a dictionary."""

from __future__ import annotations

import uuid
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from faas_supervisor.errors import NotFound
from faas_supervisor.testing._base import ContractBase
from faas_supervisor.testing._rig import Rig, require

__all__ = ["Model"]

# None is a folder of another one: stores of folders can't hold an object where a folder is. Few, so that the
# operations of a history meet at the same name.
_NAMES: Final = ("a", "b/c", "b/cd", "b/e/f g")
_PREFIXES: Final = ("", "a", "b", "b/c", "b/e", "missing")

_names = st.sampled_from(_NAMES)
_contents = st.binary(max_size=300)


class _Machine(RuleBasedStateMachine):
    """A store beside a dictionary that says what the store must hold."""

    def __init__(self, rig: Rig) -> None:
        super().__init__()
        # Each history begins in a folder of its own: a new store for each would be slow.
        self.rig = Rig(rig.provider, rig.path(f"history-{uuid.uuid4().hex}"), rig.folder)
        self.expected: dict[str, bytes] = {}

    @rule(name=_names, data=_contents)
    def upload(self, name: str, data: bytes) -> None:
        """Upload, whether or not something is there."""
        info = self.rig.upload(name, data)
        self.expected[name] = data
        require(info.size == len(data), "upload must return the size that the store now has", info)

    @rule(name=_names)
    def delete(self, name: str) -> None:
        """Delete, whether or not something is there; nothing is there then."""
        self.rig.provider.delete(self.rig.path(name))
        self.expected.pop(name, None)
        try:
            self.rig.provider.stat(self.rig.path(name))
        except NotFound:
            return
        require(False, f"{name!r} was deleted, but `stat` still finds it")  # noqa: FBT003  # it is there

    @rule(name=_names)
    def download(self, name: str) -> None:
        """Get what was last uploaded, or `NotFound`."""
        try:
            received, info = self.rig.download(name)
        except NotFound:
            require(name not in self.expected, f"{name!r} was uploaded, but a download does not find it")
            return
        require(name in self.expected, f"{name!r} was deleted or never uploaded, but a download finds it")
        require(received == self.expected[name], f"a download of {name!r} must give what was last uploaded", received)
        require(info.size == len(received), "download must return the size of the object", info)

    @rule(name=_names)
    def stat(self, name: str) -> None:
        """Be told the size of what was last uploaded, or `NotFound`."""
        try:
            size = self.rig.provider.stat(self.rig.path(name)).size
        except NotFound:
            require(name not in self.expected, f"{name!r} was uploaded, but `stat` does not find it")
            return
        require(
            size == len(self.expected.get(name, b"?")), f"`stat` of {name!r} must give the size of the object", size
        )

    @rule(prefix=st.sampled_from(_PREFIXES))
    def list(self, prefix: str) -> None:
        """See what is below the prefix."""
        right = sorted(name for name in self.expected if f"{name}/".startswith(f"{prefix}/" if prefix else ""))
        seen = self.rig.names(prefix)
        require(seen == right, f"`list` of {prefix!r} must give {right}", seen)

    def teardown(self) -> None:
        """Look at everything once more, and clear up."""
        self.list("")
        for name in self.expected:
            self.rig.provider.delete(self.rig.path(name))


class Model(ContractBase):
    """The store behaves as a dictionary does."""

    def test_any_history_ends_as_a_dictionary_says(self, rig: Rig) -> None:
        """After any operations in any order, the store holds exactly what it should."""
        quick = settings(
            max_examples=self.model_examples,
            stateful_step_count=self.model_steps,
            deadline=None,
            derandomize=True,  # the same histories each time: a contract that fails now and then tells little
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(lambda: _Machine(rig), settings=quick)  # type: ignore[arg-type]
