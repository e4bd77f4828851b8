"""What the script may do, and what may be done to it, in containers as Kubernetes makes them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from tests.pods.support import DIRECT, JOB, STARTS, UNDER_INIT

starts = pytest.mark.parametrize("argv", STARTS.values(), ids=STARTS)
signalled = pytest.mark.parametrize("argv", [DIRECT, UNDER_INIT], ids=["as PID 1", "under an init"])
_SOON = 30.0


def commands(container):
    """Return what runs in the container: command lines by the host's process numbers."""
    found = {}
    for pid in container.pids():
        with contextlib.suppress(OSError):
            found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return {pid: command for pid, command in found.items() if command}


def wait_until(happened):
    deadline = time.monotonic() + _SOON
    while not happened():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.05)


@starts
def test_its_descendants_end_with_it(pod, argv):
    """Also those that left its group and session; seen beside a shell that outlives the supervisor."""
    pod.script = (
        "setsid sleep 600 & (setsid sh -c 'sleep 600 & sleep 600' &) ; nohup sleep 600 >/dev/null 2>&1 & exit 0"
    )
    command = argv[2] if argv == JOB else " ".join(argv)
    container = pod.start(("/bin/sh", "-c", f"{command}; echo over >&2; exec tail -f /dev/null"))
    container.wait_for(b"over")
    wait_until(lambda: list(commands(container).values()) == ["tail -f /dev/null"])
    assert pod.told["status"] == "succeeded"


@starts
def test_a_daemon_that_holds_its_output_is_not_waited_for(pod, argv):
    pod.script = "setsid sleep 600 &\necho done\n"
    ended = pod.run(argv)
    assert ended.code == 0, ended.log
    assert ended.result["usage"]["wall_seconds"] < 60


@starts
def test_orphans_are_buried(pod, argv):
    """PID 1 gets every orphan of the container, and so does a subreaper; whoever does not bury them fills the table."""
    pod.script = """\
for n in 1 2 3 4 5 6 7 8; do (sleep 0.05 & exec true) & done; wait
for try in $(seq 100); do
    grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null > /tmp/zombies || { echo clean; exit 0; }
    sleep 0.1
done
cat /tmp/zombies; exit 9
"""
    ended = pod.run(argv)
    assert ended.code == 0, ended.log


@signalled
@pytest.mark.parametrize("number", ["INT", "HUP", "QUIT", "USR1", "USR2", "WINCH"])
def test_other_signals_reach_the_script(pod, argv, number):
    pod.script = f"trap 'echo got {number}; exit 0' {number}; echo ready; while :; do sleep 0.05; done"
    container = pod.start(argv)
    container.wait_for(b"ready")
    container.kill(number)
    container.wait_for(f"got {number}".encode())
    container.wait()


@signalled
def test_a_script_that_is_deaf_to_sigterm_is_killed_after_its_grace(pod, argv):
    pod.config["kill_grace"] = "200ms"
    pod.script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    container = pod.start(argv)
    container.wait_for(b"ready")
    container.kill("TERM")
    ended = container.wait(_SOON)
    assert ended.code == 143, ended.log
    assert pod.told["failure"] == "terminated"


def test_the_script_dies_with_the_supervisor(pod):
    """Behind a shell, nobody else would end it."""
    pod.script = "echo ready; exec sleep 600"
    container = pod.start(("/bin/sh", "-c", "echo $EVENT | /oscar/bin/supervisor; exec tail -f /dev/null"))
    container.wait_for(b"ready")
    (supervisor,) = [pid for pid, line in commands(container).items() if line.endswith("/oscar/bin/supervisor")]
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: list(commands(container).values()) == ["tail -f /dev/null"])


def test_a_job_that_is_evicted_keeps_what_it_had(pod):
    """SIGTERM ends at the shell, and SIGKILL leaves no time: only what has gone up already is kept."""
    pod.config["stream"] = True
    pod.script = """\
echo first > "$TMP_OUTPUT_DIR/.first"; mv "$TMP_OUTPUT_DIR/.first" "$TMP_OUTPUT_DIR/stream/first"
echo half > "$TMP_OUTPUT_DIR/second"; exec sleep 600
"""
    container = pod.start(JOB)
    wait_until(lambda: "out/stream/first" in pod.stored)
    container.kill("TERM")
    container.kill("KILL")
    assert container.wait().code == 128 + signal.SIGKILL
    assert pod.stored == {"out/stream/first": b"first\n"}


class TestFaults:
    def test_an_output_folder_that_is_gone(self, pod):
        pod.script = 'rm -r "$TMP_OUTPUT_DIR"'
        ended = pod.run()
        assert ended.code == 119, ended.log
        assert "the script may have removed or shut it" in pod.told["reason"]

    def test_a_shut_output_folder_is_removed_all_the_same(self, pod):
        pod.script = 'cd "$TMP_OUTPUT_DIR"; mkdir deep; echo x > deep/a; chmod 0 deep; chmod 0 "$TMP_OUTPUT_DIR"'
        ended = pod.run(("/bin/sh", "-c", "echo $EVENT | /oscar/bin/supervisor; echo $?; ls /tmp"))
        # Root without capabilities is shut out as anyone is.
        assert ended.stdout == b"119\n", ended.log

    def test_thousands_of_files_that_nobody_wants(self, pod):
        pod.config["output"][0]["suffix"] = [".wanted"]
        pod.script = (
            'cd "$TMP_OUTPUT_DIR" && python3 -c "for n in range(30_000): open(str(n), \'w\').close()"; touch a.wanted'
        )
        ended = pod.run()
        assert ended.code == 0, ended.log[-2000:]
        assert pod.stored == {"out/a.wanted": b""}
        assert ended.log.count("it matches no output") == 1000 * 2  # in the log, and in the result

    def test_a_script_that_closes_its_output_and_goes_on(self, pod):
        pod.script = 'exec >&- 2>&-; sleep 0.3; echo late > "$TMP_OUTPUT_DIR/late"'
        assert pod.run().code == 0
        assert pod.stored == {"out/late": b"late\n"}

    def test_a_script_that_replaces_its_input(self, pod):
        pod.script = 'rm "$INPUT_FILE_PATH"; ln -s /etc/passwd "$INPUT_FILE_PATH"; echo ok > "$TMP_OUTPUT_DIR/ok"'
        assert pod.run().code == 0
        assert pod.stored == {"out/ok": b"ok\n"}


@starts
def test_the_script_sees_its_own_image_and_nothing_of_ours(pod, argv):
    pod.script = """\
{ env | grep -E '^(FAAS_SUPERVISOR|_PYI|_SUP|LD_|FUNCTION_CONFIG)'; } && exit 9
test "$(ls /proc/self/fd | wc -l)" = 4 || { ls -l /proc/self/fd; exit 8; }
test "$(grep SigBlk /proc/self/status | cut -f2)" = 0000000000000000 || exit 7
ignored=$(grep SigIgn /proc/self/status | cut -f2)
test $((0x$ignored & ~0x180000000)) = 0 || exit 6  # 32 and 33 are the C library's, which lets nobody change them
read nothing && exit 5
exit 0
"""
    ended = pod.run(argv, environment={"FAAS_SUPERVISOR_LOG_FORMAT": "text"})
    assert ended.code == 0, ended.log
