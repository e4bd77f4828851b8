"""The processes of a script, found in `/proc` wherever they went."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from faas_supervisor.script import _processes
from faas_supervisor.script._processes import Members, anonymous, open_files, proportional

MIB = 1 << 20


class Started:
    """Python code that runs in a session of its own, once it has written its first line."""

    def __init__(self, code):
        argv = [sys.executable, "-c", f"import os, time\n{textwrap.dedent(code)}"]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True)
        self.told = self.process.stdout.readline().split()
        self.pid = self.process.pid
        self.members = Members(self.pid)

    def end(self):
        for member in self.members.now():
            os.kill(member.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def started():
    running = []

    def start(code):
        running.append(Started(code))
        return running[-1]

    yield start
    for one in running:
        one.end()


def test_a_process_is_told_with_what_it_uses(started):
    script = started("data = b'x' * (64 << 20); print(flush=True); time.sleep(100)")
    [found] = script.members.now()
    assert (found.pid, found.parent, found.group, found.session) == (script.pid, os.getpid(), *[script.pid] * 2)
    assert found.threads == 1
    assert 64 * MIB < anonymous([found]) <= found.resident < 128 * MIB
    assert 64 * MIB < proportional([found]) < 128 * MIB


def test_children_are_found_also_those_that_left_session_and_group(started):
    script = started("""\
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                print(flush=True)
            time.sleep(100)
        os.wait()
    """)
    assert len(script.members.now()) == 3


def test_who_was_known_once_is_found_after_losing_its_parent(started):
    script = started("""\
        child = os.fork()
        if child == 0:
            os.setsid()
            grandchild = os.fork()
            if grandchild:
                print(grandchild, flush=True)
                time.sleep(100)
                os._exit(0)
            time.sleep(100)
        os.wait()
        time.sleep(100)
    """)
    members, pid = script.members, int(script.told[0])
    found = {member.pid: member for member in members.now()}
    child = found[pid].parent
    os.kill(child, signal.SIGKILL)
    while child in {member.pid for member in members.now()}:
        pass
    left = {member.pid: member for member in members.now()}
    assert set(left) == {script.pid, pid}
    assert left[pid].parent != child


def test_a_stranger_is_no_member(started):
    one = started("print(flush=True); time.sleep(100)")
    other = started("print(flush=True); time.sleep(100)")
    assert [member.pid for member in one.members.now()] == [one.pid]
    assert [member.pid for member in other.members.now()] == [other.pid]


def test_a_name_may_hold_anything(started):
    script = started("""\
        from pathlib import Path
        Path("/proc/self/comm").write_bytes(b") R 1 (\\n\\xff")
        print(flush=True)
        time.sleep(100)
    """)
    [found] = script.members.now()
    assert found.name == ") R 1 (\\n\ufffd"
    assert found.parent == os.getpid()


def test_what_processes_share_is_divided_where_it_is_asked_for(started):
    script = started("""\
        import mmap
        shared = mmap.mmap(-1, 64 << 20)
        shared.write(b"x" * (64 << 20))
        own = bytearray(32 << 20)
        if os.fork() == 0:
            shared[::4096]
            print(flush=True)
        time.sleep(100)
    """)
    members = script.members.now()
    assert len(members) == 2
    assert anonymous(members) > 150 * MIB
    assert 90 * MIB < proportional(members) < 140 * MIB


def test_open_files_are_counted(started):
    script = started("files = [open('/dev/null') for _ in range(50)]; print(flush=True); time.sleep(100)")
    assert 53 <= open_files(script.members.now()) < 70


def test_threads_are_counted(started):
    script = started("""\
        import threading
        for _ in range(5):
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        print(flush=True)
        time.sleep(100)
    """)
    assert script.members.now()[0].threads == 6


def test_who_has_gone_has_nothing(started):
    script = started("print(flush=True); time.sleep(100)")
    members = script.members.now()
    script.end()
    assert script.members.now() == []
    assert (anonymous(members), proportional(members), open_files(members)) == (0, 0, 0)


def test_another_users_pages_are_not_seen_but_what_it_has_is_counted(started, monkeypatch):
    script = started("data = b'x' * (64 << 20); print(flush=True); time.sleep(100)")
    members = script.members.now()
    read = _processes._read
    monkeypatch.setattr(_processes, "_read", lambda file: b"" if file.endswith("smaps_rollup") else read(file))
    assert proportional(members) == anonymous(members)


def test_pages_have_the_size_that_the_kernel_counts_in():
    assert _processes._PAGE == mmap.PAGESIZE
