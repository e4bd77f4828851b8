"""Nobody who comes from the script outlives it, nobody is left a zombie, and nobody else is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from faas_supervisor.script import _family, _table, forward
from faas_supervisor.script._family import Family
from tests.programs import need, need_root
from tests.script.runs import PATH, TIMEOUT, Running, alive, python, running, sh, state, wait_for

pytestmark = pytest.mark.usefixtures("way")

# Leaves the group and the session, loses its parent, and lives on: what `daemon(3)` does.
DAEMON = """
    import os, sys, time, signal
    said = sys.stdout.fileno()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            {before}
            os.write(said, b"%d\\n" % os.getpid())
            {then}
        os._exit(0)
    os.wait()
    sys.stdin.read() if "{wait}" else time.sleep(0.05)
"""
SLEEP = "time.sleep(1000)"


def daemon(before="pass", then=SLEEP):
    return textwrap.dedent(DAEMON).format(before=before, then=then, wait="")


def pids(ran):
    return [int(line) for line in ran.out.data.split()]


class TestWhoLeftTheGroup:
    @pytest.mark.parametrize(
        "code",
        [
            "setsid sleep 1000 & echo $!; wait_a_moment",
            "setsid setsid sleep 1000 & echo $!; wait_a_moment",
            "(setsid sleep 1000 & echo $!); wait_a_moment",
        ],
        ids=["session", "session-of-a-session", "orphan"],
    )
    def test_ends_with_the_script(self, code):
        ran = sh(code.replace("wait_a_moment", "sleep 0.05"))
        assert ran.status == 0
        assert not any(alive(pid) for pid in pids(ran))

    def test_a_daemon_ends_with_the_script(self):
        ran = python(daemon())
        assert ran.status == 0
        assert state(pids(ran)[0]) is None

    def test_a_daemon_that_holds_the_output_is_not_waited_for(self):
        """Its end is what lets the script's output end, not the other way round."""
        ran = python(daemon(then="[(os.write(1, b''), time.sleep(0.01)) for _ in iter(int, 1)]"))
        assert state(pids(ran)[0]) is None

    def test_one_with_an_environment_of_its_own(self):
        ran = sh("setsid env -i sleep 1000 & echo $!; sleep 0.05", environment={"PATH": PATH, "TMP_OUTPUT_DIR": "/x"})
        assert state(pids(ran)[0]) is None

    def test_one_that_is_asked_to_end_may_say_goodbye(self, tmp_path):
        file = tmp_path / "goodbye"
        before = f"signal.signal(signal.SIGTERM, lambda *_: (open({str(file)!r}, 'w').write('bye'), os._exit(0)))"
        python(daemon(before))
        assert file.read_text() == "bye"

    def test_one_that_does_not_listen_is_killed_after_the_grace(self):
        ran = python(daemon("signal.signal(signal.SIGTERM, signal.SIG_IGN)"), grace=0.3)
        assert ran.outcome.wall >= 0.3
        assert state(pids(ran)[0]) is None

    def test_a_chain_of_them_that_goes_on_while_we_kill(self):
        """Each makes the next one in a session of its own, and dies: there is always somebody new."""
        code = """
            import os, signal, sys, time
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                for _ in range(10_000):
                    if os.fork() == 0:
                        os.setsid()
                        time.sleep(0.02)
                        continue
                    os._exit(0)
            time.sleep(0.1)
        """
        marked = {"PATH": PATH, "TMP_OUTPUT_DIR": "/chain-of-this-test"}
        assert python(code, environment=marked, grace=0.1).status == 0
        assert not with_mark("TMP_OUTPUT_DIR=/chain-of-this-test")

    def test_many_at_once(self):
        ran = sh("for i in $(seq 50); do setsid sleep 1000 & echo $!; done; sleep 0.05")
        assert len(pids(ran)) == 50
        assert not any(state(pid) for pid in pids(ran))


def with_mark(mark):
    """The processes that have `mark` in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if mark.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


class TestZombies:
    def test_none_is_left(self):
        others = _family.children()  # of what ran before in this process
        ran = sh("sleep 0.01 & (sleep 0.01 &) ; setsid sleep 0.01 & (setsid true &); echo $$")
        assert not [pid for pid in _family.children() - others if state(pid) == "Z"]
        with pytest.raises(ChildProcessError):
            os.waitpid(pids(ran)[0], os.WNOHANG)

    def test_those_that_we_got_are_buried_while_the_script_goes_on(self, monkeypatch):
        monkeypatch.setattr("faas_supervisor.script._process._TICK", 0.05)
        script = running("(sleep 0.2 & echo $!); while :; do sleep 0.05; done")
        wait_for(lambda: script.out.data, "its number")
        pid = int(script.out.data)
        wait_for(lambda: state(pid) is None, "the zombie to be buried")
        assert script.thread.is_alive()
        script.stop.set()
        script.end()

    def test_what_they_used_is_counted(self):
        orphan = "(sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done' & ) ; sleep 2"
        burnt = sh("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done").outcome.user
        assert sh(orphan).outcome.user >= burnt / 3


class TestOthers:
    """Other children of this process are none of the script's business."""

    def test_our_own_children_live_on_and_keep_their_status(self):
        before = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        others = [before]
        try:
            script = running("while :; do sleep 0.05; done")
            wait_for(lambda: _family._scripts.leaders, "the script to run")
            others.append(subprocess.Popen(["sleep", "1000"]))
            script.stop.set()
            script.end()
            assert [other.poll() for other in others] == [None, None]
        finally:
            for other in others:
                other.kill()
        assert [other.wait() for other in others] == [-signal.SIGKILL] * 2

    def test_a_dead_child_of_ours_is_left_to_who_waits_for_it(self, monkeypatch):
        monkeypatch.setattr("faas_supervisor.script._process._TICK", 0.01)
        ours = subprocess.Popen(["sh", "-c", "exit 42"])
        wait_for(lambda: state(ours.pid) == "Z", "our child to die")
        sh("(sleep 0.01 &); sleep 0.1")
        assert ours.wait() == 42

    def test_scripts_side_by_side_end_alone(self):
        def environment(name):
            return {"PATH": PATH, "TMP_OUTPUT_DIR": f"/{name}/of-this-test"}

        first = Running([sys.executable, "-I", "-c", daemon(then=SLEEP) + "\ntime.sleep(1000)"], environment("a"))
        second = Running([sys.executable, "-I", "-c", daemon(then=SLEEP) + "\ntime.sleep(1000)"], environment("b"))
        for script in (first, second):
            wait_for(lambda script=script: b"\n" in script.out.data, "its daemon")
        wait_for(lambda: all(parent(pids(one)[0]) == os.getpid() for one in (first, second)), "both to become ours")
        first.stop.set()
        first.end()
        assert state(pids(first)[0]) is None
        assert alive(pids(second)[0])
        second.stop.set()
        second.end()
        assert state(pids(second)[0]) is None

    def test_one_that_ends_while_another_begins_does_not_touch_it(self):
        """All the time there are scripts that have been started, but are not known yet."""
        ends, failed = threading.Event(), []

        def work():
            while not ends.is_set():
                if sh("exit 7").status != 7:
                    failed.append("a script was ended by another")

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            python(daemon())
        ends.set()
        for thread in threads:
            thread.join(TIMEOUT)
        assert failed == []


def parent(pid):
    read = _table.read(pid)
    return read and read.parent


class TestWithoutWhatTheKernelTells:
    def test_no_list_of_children_is_no_matter(self, monkeypatch):
        monkeypatch.setattr(_family, "children", lambda: None)
        ran = python(daemon(), environment={"PATH": PATH, "TMP_OUTPUT_DIR": "/not-listed"})
        assert state(pids(ran)[0]) is None

    def test_without_proc_the_group_ends_and_it_is_said_once(self, monkeypatch, caplog):
        monkeypatch.setattr(_family, "PROC", Path("/no/such/proc"))
        monkeypatch.setattr(_family, "children", lambda: None)
        monkeypatch.setattr(_family, "_told", [])
        for _ in range(2):
            ran = sh("sleep 1000 & echo $!; exit 3")
            assert ran.status == 3
            wait_for(lambda ran=ran: not alive(pids(ran)[0]), "the group to end")
        assert caplog.text.count("there is no /proc") == 1

    def test_without_process_handles_numbers_do(self, monkeypatch):
        def refuse(_pid, _flags=0):
            raise OSError(38, "Function not implemented")

        monkeypatch.setattr(os, "pidfd_open", refuse)
        ran = python(daemon())
        assert state(pids(ran)[0]) is None


def test_a_process_that_has_another_ones_number_by_now_gets_no_signal():
    bystander = subprocess.Popen(["sleep", "1000"])
    try:
        now = _table.read(bystander.pid)
        earlier = _table.Process(now.pid, now.state, now.parent, now.group, now.session, "1")
        _family.send(earlier, signal.SIGKILL)
        assert bystander.poll() is None
        _family.send(now, signal.SIGKILL)
        assert bystander.wait(TIMEOUT) == -signal.SIGKILL
    finally:
        bystander.kill()
        bystander.wait()


class TestForwarding:
    def test_a_signal_reaches_the_groups_of_all_scripts(self):
        code = "trap 'echo got it; exit 4' USR1; echo ready; while :; do sleep 0.02; done"
        scripts = [running(code) for _ in range(2)]
        for script in scripts:
            script.said(b"ready")
        forward(signal.SIGUSR1)
        assert [script.end().outcome.status for script in scripts] == [4, 4]

    def test_it_may_come_in_the_middle_of_anything(self):
        """From a handler, in the thread that holds the lock."""
        before = signal.signal(signal.SIGALRM, lambda *_: forward(signal.SIGWINCH))
        try:
            with _family._scripts.lock:
                signal.raise_signal(signal.SIGALRM)
        finally:
            signal.signal(signal.SIGALRM, before)

    def test_a_script_that_was_left_gets_nothing(self):
        family = Family({})
        bystander = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        try:
            family.led_by(bystander.pid)
            family.leave()
            family.leave()
            family.signal(signal.SIGKILL)
            assert bystander.poll() is None
            assert _family._scripts.starting == 0
        finally:
            bystander.kill()
            bystander.wait()


class TestWhereWeAre:
    """As the first process of a container, and below another one's init."""

    CODE = """
        import os, sys
        from faas_supervisor.script import _start, run
        from faas_supervisor.stop import Stop

        class Out:
            def write(self, data):
                os.write(1, data)

        if sys.argv[1]:
            _start.adopt_orphans()
            _start._starter = lambda: sys.argv[1]
        print(os.getpid(), flush=True)
        done = run([sys.executable, "-I", "-c", sys.argv[2]], {}, stdout=Out(), stderr=Out(), stop=Stop())
        left = [name for name in os.listdir("/proc") if name.isdecimal() and int(name) != os.getpid()]
        print(done.status, *(sorted(left) if os.getpid() == 1 else ()))
    """

    def test_as_the_first_process_nobody_is_left(self, way, request):
        need_root()
        need("unshare")
        program = request.getfixturevalue("starter") if way == "starter" else ""
        code = daemon(then="[(os.fork() or os._exit(0)), time.sleep(1000)]")
        done = subprocess.run(
            [
                "unshare",
                "--pid",
                "--fork",
                "--mount-proc",
                sys.executable,
                "-c",
                textwrap.dedent(self.CODE),
                program,
                code,
            ],
            check=True,
            capture_output=True,
            timeout=TIMEOUT,
        )
        first, *_, last = done.stdout.split(b"\n")[:-1]
        assert (first, last) == (b"1", b"0"), done

    def test_below_another_init_nobody_is_left(self, way, request):
        program = request.getfixturevalue("starter") if way == "starter" else ""
        inside = [sys.executable, "-c", textwrap.dedent(self.CODE), program, daemon()]
        done = subprocess.run(
            ["sh", "-c", '"$@" & wait $!; exit $?', "sh", *inside], check=True, capture_output=True, timeout=TIMEOUT
        )
        _, pid, last = done.stdout.split()
        assert (last, state(int(pid))) == (b"0", None)


def test_threads_that_come_and_go_do_not_hide_our_children():
    """The kernel lists the children of each thread, and a thread may end between two looks."""
    ends = threading.Event()

    def churn():
        while not ends.is_set():
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()

    child = subprocess.Popen(["sleep", "1000"])
    threads = [threading.Thread(target=churn) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        seen = [_family.children() for _ in range(300)]
    finally:
        ends.set()
        for thread in threads:
            thread.join(TIMEOUT)
        child.kill()
        child.wait()
    known = [one for one in seen if one is not None]  # else all processes are looked at, which is safe, too
    assert len(known) > len(seen) / 2
    assert all(child.pid in one for one in known)


def test_a_script_that_began_after_the_listing_is_not_taken_for_a_stray_child(monkeypatch):
    """It is dead in the list of all processes, and nobody knew yet that it leads a script."""
    ours = Family({})
    leader = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    ours.led_by(leader.pid)
    child = subprocess.Popen(["true"], start_new_session=True)
    wait_for(lambda: state(child.pid) == "Z", "the end of the child")
    listing, others = _family.listing, []

    def late():
        table = listing()
        if not others:
            others.append(Family({}))
            others[0].led_by(child.pid)
        return table

    monkeypatch.setattr(_family, "listing", late)
    try:
        ours.descendants()
        assert others[0].bury_leader()[0] == 0
    finally:
        child.returncode = 0
        leader.kill()
        leader.wait()
        ours.leave()
