"""Starts, signals and ends in any order, several scripts at a time: each ends as it was asked to, and leaves nobody."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from faas_supervisor.errors import Terminated
from faas_supervisor.script import _family, _table, forward
from tests.script.runs import PATH, Running, alive, state, wait_for

KINDS = {
    "obedient": "",
    "deaf": "trap '' TERM INT HUP QUIT USR1;",
    "polite": "trap 'exit 9' TERM INT HUP QUIT;",
    "parent": "sleep 1000 &",
    "daemon": "setsid sh -c 'echo $$ >> pids; sleep 1000' & sleep 0.02;",
    "deaf-daemon": "setsid sh -c 'trap \"\" TERM; echo $$ >> pids; sleep 1000' & sleep 0.02;",
    "orphaner": "(sleep 0.01 &); (sleep 1000 &);",
    "talker": "yes &",
}
ENDING = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT]


class Script:
    """A script that goes on until it is told by a file, or ended."""

    def __init__(self, kind, folder):
        self.folder = folder
        self.kind = kind
        self.reason = self.told = None
        self.killed = False
        code = f"cd {folder}; {KINDS[kind]} echo $$ >> pids; while [ ! -e go ]; do sleep 0.01; done; exit $(cat go)"
        environment = {"PATH": PATH, "TMP_OUTPUT_DIR": str(folder)}
        self.running = Running(["/bin/sh", "-c", code], environment, grace=0.2)
        wait_for(lambda: (folder / "pids").exists() or not self.running.thread.is_alive(), "the script")

    def ends_as_it_should(self):
        """It ended once, for a reason that it was given, and nobody is left."""
        ended = self.running.end()
        assert (ended.outcome is None) != (ended.error is None)
        if ended.error is not None:
            assert ended.error is self.reason
        outcome = ended.outcome or ended.error.outcome
        if self.reason is None and not self.killed:
            assert outcome.status == self.told
        if self.reason is None and self.told is None:
            assert outcome.signal == signal.SIGKILL
        for pid in map(int, (self.folder / "pids").read_text().split()):
            assert state(pid) is None or not alive(pid)


class Orders(RuleBasedStateMachine):
    folder: ClassVar[Path]

    def __init__(self):
        super().__init__()
        self.scripts = []
        self.count = 0
        self.before = self.children()  # what other tests left, if they did

    @rule(kind=st.sampled_from(sorted(KINDS)))
    def start(self, kind):
        if len(self.scripts) < 4:
            self.count += 1
            folder = Path(tempfile.mkdtemp(dir=self.folder))
            self.scripts.append(Script(kind, folder))

    @rule(data=st.data(), number=st.sampled_from(ENDING))
    def stop(self, data, number):
        if self.scripts:
            script = data.draw(st.sampled_from(self.scripts))
            reason = Terminated("stop", signal=number)
            script.reason = script.reason or reason
            script.running.stop.set(reason)

    @rule(data=st.data(), status=st.integers(0, 255))
    def let_go(self, data, status):
        if self.scripts:
            script = data.draw(st.sampled_from(self.scripts))
            if script.told is None:
                script.told = status
                (script.folder / "new").write_text(str(status))
                (script.folder / "new").rename(script.folder / "go")

    @rule(data=st.data())
    def kill(self, data):
        if self.scripts:
            script = data.draw(st.sampled_from(self.scripts))
            mark = f"/{script.folder.name}\0".encode()
            for pid, family in list(_family._scripts.leaders.items()):
                if family._mark.endswith(mark):
                    script.killed = True
                    os.kill(pid, signal.SIGKILL)

    @rule()
    def forward(self):
        forward(signal.SIGWINCH)

    @rule()
    def wait(self):
        time.sleep(0.02)  # lets things happen, so that orders differ

    @rule(data=st.data())
    def end(self, data):
        ending = [script for script in self.scripts if script.reason or script.told is not None or script.killed]
        if ending:
            script = data.draw(st.sampled_from(ending))
            script.ends_as_it_should()
            self.scripts.remove(script)

    @invariant()
    def nobody_is_forgotten(self):
        assert len(_family._scripts.leaders) <= len(self.scripts)

    def teardown(self):
        for script in self.scripts:
            if script.reason is None:
                script.reason = Terminated("the test is over")
                script.running.stop.set(script.reason)
        for script in self.scripts:
            script.ends_as_it_should()
            shutil.rmtree(script.folder)
        assert not _family._scripts.leaders
        assert _family._scripts.starting == 0
        assert not [_table.read(pid) for pid in self.children() - self.before if state(pid) == "Z"]

    @staticmethod
    def children():
        return _family.children() or set()


@pytest.mark.usefixtures("way")
def test_every_order_ends_well(tmp_path):
    Orders.folder = tmp_path
    run_state_machine_as_test(
        Orders,
        settings=settings(
            max_examples=25,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
