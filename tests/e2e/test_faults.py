"""What scripts do to us, by intent or by accident: each is told as what it is, and nothing is left. As root and not."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml

from faas_supervisor.call import Call
from faas_supervisor.errors import Terminated
from faas_supervisor.invocation import invoke
from faas_supervisor.stop import Stop
from tests.core.users import nobody
from tests.e2e.support import encoded, event
from tests.script.runs import state, wait_for

# A million takes minutes; FAULT_FILES=1000000 asks for it.
FILES = int(os.environ.get("FAULT_FILES", "20000"))


class Sink:
    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data


class Invoked:
    """One invocation in this process, by whoever this is for the moment, on the object `in/a`."""

    def __init__(self, folder, script, *, workspace=None, stop=None, shown=None, **config):
        self.workspace = workspace or folder / "workspace"
        self.store = folder / "store" / "minio.default"
        self.workspace.mkdir(exist_ok=True)
        (self.store / "in").mkdir(parents=True, exist_ok=True)
        (self.store / "in" / "a").write_bytes(b"the input")
        document = {
            "name": "f",
            "output": [{"storage_provider": "minio.default", "path": "out"}],
            "storage_providers": {"minio": {"default": {}}},
            "kill_grace": "300ms",
            **config,
        }
        environment = {
            "PATH": "/usr/bin:/bin",
            "TMPDIR": str(self.workspace),
            "FUNCTION_CONFIG": encoded(yaml.safe_dump(document)),
            "SCRIPT": encoded(script),
            "FAAS_SUPERVISOR_SECRETS_DIR": str(folder / "none"),
        }
        self.out, self.err = shown or Sink(), Sink()
        call = Call(
            event("in/a"), environment, stdout=self.out, stderr=self.err, storage=folder / "store", stop=stop or Stop()
        )
        self.result = invoke(call)

    @property
    def told(self):
        return self.result.status, self.result.failure, self.result.exit_code

    def stored(self):
        """What was uploaded: contents by name."""
        return {file.name: file.read_bytes() for file in (self.store / "out").glob("*")}

    def leaves_nothing(self):
        """Neither files nor processes of it are left."""
        assert list(self.workspace.iterdir()) == []
        mark = f"TMP_OUTPUT_DIR={self.workspace}/".encode()
        for name in filter(str.isdecimal, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as stream:  # noqa: PTH123
                assert mark not in stream.read(), f"process {name} is left"


SUCCEEDED = ("succeeded", None, 0)


@pytest.fixture(params=["root", "nobody"])
def user(request):
    """Who the supervisor is."""
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("NOT TESTED as root: we are somebody else")
    return request.param


@pytest.fixture
def work():
    """A folder whose parents everybody may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def invoked(user, work, tmp_path):
    """Run a script as this user, and require that nothing is left of it."""
    # As it is meant to be, so that all is imported before somebody comes who may not read it.
    assert Invoked(tmp_path, 'echo x > "$TMP_OUTPUT_DIR/x"').told == SUCCEEDED
    made = []

    def start(script, **options):
        made.append(Invoked(work, script, **options))
        return made[-1]

    with nobody(work) if user == "nobody" else contextlib.nullcontext():
        yield start
        for one in made:
            one.leaves_nothing()


def test_a_daemon_that_holds_the_output_ends_with_the_script(invoked):
    one = invoked("setsid sh -c 'echo $$; exec sleep 1000' & sleep 0.2; exit 0")
    assert one.told == SUCCEEDED
    assert state(int(one.out.data)) is None


def test_a_script_that_closes_its_output_and_goes_on_is_waited_for(invoked):
    one = invoked('exec >&- 2>&-; sleep 0.2; echo x > "$TMP_OUTPUT_DIR/late"')
    assert one.told == SUCCEEDED
    assert one.stored() == {"late": b"x\n"}


def test_a_script_that_removes_its_output_folder_is_told(invoked):
    one = invoked('rm -rf "$TMP_OUTPUT_DIR"')
    assert one.told == ("failed", "output", 119)
    assert "the output folder can't be read" in one.result.reason


def test_a_script_that_shuts_everything_leaves_nothing(invoked):
    one = invoked('cd "$TMP_OUTPUT_DIR"; mkdir d; echo x > d/f; chmod 0 d/f; chmod 0 d . "$TMP_INPUT_DIR"')
    # Nothing is shut to root.
    assert one.told == (SUCCEEDED if os.geteuid() == 0 else ("failed", "output", 119))


def test_a_script_that_replaces_its_input_changes_nothing_in_the_store(invoked):
    one = invoked('rm -f "$INPUT_FILE_PATH"; ln -s /etc/passwd "$INPUT_FILE_PATH"; echo x > "$TMP_INPUT_DIR/new"')
    assert one.told == SUCCEEDED
    assert {file.name: file.read_bytes() for file in (one.store / "in").iterdir()} == {"a": b"the input"}


def test_a_script_that_ignores_sigterm_is_killed_after_its_grace(invoked):
    stop = Stop()

    class Ready(Sink):
        def write(self, data):
            stop.set(Terminated("stop"))

    one = invoked("trap '' TERM; echo ready; while :; do sleep 0.05; done", stop=stop, shown=Ready())
    assert one.told == ("failed", "terminated", 143)
    assert one.result.signal == signal.SIGKILL


def test_a_script_that_forks_without_end_ends_with_all_of_them(invoked):
    """Sixty at a time, in and out of its session, each of which makes two more when it dies."""
    bomb = """
        bomb() { (sleep 0.02; [ -e "$TMP_OUTPUT_DIR/stop" ] || bomb) & setsid sh -c 'sleep 1000' & }
        for i in 1 2 3 4 5 6; do bomb; done
        sleep 0.2; exit 0
    """
    assert invoked(bomb).told == SUCCEEDED


def test_very_many_empty_files_are_a_success(invoked):
    one = invoked(f'cd "$TMP_OUTPUT_DIR" && seq {FILES} | xargs touch', output=[])
    assert one.told == SUCCEEDED


@pytest.mark.parametrize("user", ["nobody"], indirect=True)
def test_no_room_for_a_process_is_told(invoked):
    """The limit of processes counts those of a user, and root has none: see tests/script/test_start.py."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    ran = []
    try:
        resource.setrlimit(resource.RLIMIT_NPROC, (0, hard))
        ran.append(invoked("exit 0", output=[], download_input=False))
    finally:
        resource.setrlimit(resource.RLIMIT_NPROC, (soft, hard))
    assert ran[0].told == ("failed", "not_executable", 126)
    assert "limits of processes" in ran[0].result.reason


@pytest.fixture
def small_disk(work):
    """A file system of 1 MiB."""
    folder = work / "disk"
    folder.mkdir()
    options = "size=1m,mode=1777"
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False, capture_output=True)
    if made.returncode:
        pytest.skip("NOT TESTED: a full disk; only root can mount a tmpfs here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_the_script_fills_is_its_own_failure_and_is_empty_again_afterwards(small_disk, invoked):
    one = invoked('head -c 5000000 /dev/zero > "$TMP_OUTPUT_DIR/large"', workspace=small_disk)
    assert one.told == ("failed", "script", 1)
    assert b"No space left on device" in one.err.data
    assert os.statvfs(small_disk).f_bfree == os.statvfs(small_disk).f_blocks


def test_a_disk_that_is_full_keeps_the_scripts_output_flowing(small_disk, invoked):
    """Its logs are wanted, and there is no room for them."""
    one = invoked(
        "head -c 3000000 /dev/zero; exit 0",
        workspace=small_disk,
        logs={"storage_provider": "minio.default", "path": "logs"},
    )
    assert len(one.out.data) == 3_000_000
    assert one.told == SUCCEEDED
    assert any("stdout.log is not complete" in warning for warning in one.result.runs[0].warnings)


def test_a_daemon_that_outlives_a_stop_is_killed_too(invoked, work):
    stop, pids = Stop(), work / "pids"

    class Ready(Sink):
        def write(self, data):
            wait_for(pids.exists, "the daemon")
            stop.set(Terminated("stop"))

    script = f"setsid sh -c 'trap \"\" TERM; echo $$ > {pids}.new; mv {pids}.new {pids}; sleep 1000' & echo ready; wait"
    one = invoked(script, stop=stop, shown=Ready())
    assert one.told == ("failed", "terminated", 143)
    assert state(int(pids.read_text())) is None
