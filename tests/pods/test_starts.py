"""The supervisor in containers as Kubernetes makes them, however it is started there."""

from __future__ import annotations

import pytest

from tests.containers import Mount
from tests.pods.support import DIRECT, JOB, STARTS, UNDER_INIT

starts = pytest.mark.parametrize("argv", STARTS.values(), ids=STARTS)


@starts
def test_an_event_is_handled(pod, argv):
    ended = pod.run(argv)
    assert ended.code == 0, ended.log
    assert pod.stored == {"out/file": b"written\n"}
    assert ended.result["status"] == pod.told["status"] == "succeeded"
    assert ended.result["usage"]["memory_limit_bytes"] == 256 << 20
    assert 0 < ended.result["usage"]["container_peak_memory_bytes"] <= 256 << 20
    assert "WARNING" not in ended.log


@starts
def test_a_script_that_fails_fails_the_container(pod, argv):
    pod.script = 'echo half > "$TMP_OUTPUT_DIR/file"; echo why >&2; exit 7'
    ended = pod.run(argv)
    assert ended.code == 7, ended.log
    assert "why" in ended.log
    assert pod.stored == {}
    assert (pod.told["failure"], pod.told["exit_code"]) == ("script", 7)


@starts
def test_all_of_its_output_arrives(pod, argv):
    pod.script = "head -c 20000000 /dev/zero | tr '\\0' _ >&2; echo last words >&2"
    ended = pod.run(argv)
    assert ended.code == 0
    assert "_" * 20_000_000 in ended.log
    assert "last words" in ended.log


@pytest.mark.parametrize("argv", [DIRECT, UNDER_INIT], ids=["as PID 1", "under an init"])
def test_sigterm_ends_the_script_and_is_told(pod, argv):
    pod.script = 'trap "echo goodbye; exit 0" TERM; echo ready; while :; do sleep 0.05; done'
    pod.config["combine_output"] = False
    container = pod.start(argv)
    container.wait_for(b"ready")
    container.kill("TERM")
    ended = container.wait()
    assert ended.code == 143, ended.log
    assert "goodbye" in ended.log
    assert (pod.told["failure"], pod.told["exit_code"]) == ("terminated", 143)
    assert pod.stored == {}


class TestFoldersForTheWork:
    def test_without_a_folder_for_temporary_files_another_is_found(self, pod):
        ended = pod.run(tmp=None)
        assert ended.code == 0, ended.log
        assert "the workspace is /dev/shm" in ended.log
        assert pod.stored == {"out/file": b"written\n"}

    def test_with_none_at_all_it_says_so(self, pod):
        ended = pod.run(tmp=None, change=without_shm)
        assert ended.code == 118, ended.log
        assert pod.told["failure"] == "no_space"
        assert "mount a writable volume and set TMPDIR to it" in pod.told["reason"]

    def test_nothing_there_need_be_executable(self, pod):
        ended = pod.run(tmp=Mount("/tmp", options=("noexec", "nosuid", "nodev", "mode=1777")))
        assert ended.code == 0, ended.log
        assert pod.stored == {"out/file": b"written\n"}

    def test_a_full_one_is_told(self, pod):
        pod.script = 'head -c 100m /dev/zero > "$TMP_OUTPUT_DIR/file" || exit 9'
        ended = pod.run(tmp=Mount("/tmp", options=("mode=1777", "size=4m")))
        assert ended.code == 9, ended.log
        assert "No space left on device" in ended.log
        assert pod.told["failure"] == "script"


def without_shm(document):
    document["mounts"] = [mount for mount in document["mounts"] if mount["destination"] != "/dev/shm"]


@pytest.mark.parametrize("pod", [0], indirect=True, ids=["root"])  # nobody else may make a folder in `/`
class TestTheLastWordOfAJobWithAMount:
    """OSCAR 4.1.2 ends such a Job's command with a word that it writes where nothing makes a folder."""

    LINE = ("/bin/sh", "-c", 'echo $EVENT | /oscar/bin/supervisor;echo "I finish" > /tmpfolder/finish-file;')

    @pytest.fixture(autouse=True)
    def _mount(self, pod):
        pod.config["mount"] = {"storage_provider": "minio.default", "path": "bucket"}

    def test_success_counts_as_success(self, pod):
        ended = pod.run(self.LINE, writable=True)
        assert ended.code == 0, ended.log
        assert pod.told["status"] == "succeeded"

    def test_failure_counts_as_failure(self, pod):
        pod.script = "exit 7"
        assert pod.run(self.LINE, writable=True).code != 0
        assert pod.told["exit_code"] == 7

    def test_without_a_mount_no_folder_is_made(self, pod):
        del pod.config["mount"]
        assert pod.run(self.LINE, writable=True).code != 0
        assert pod.told["status"] == "succeeded"

    def test_nor_is_one_outside_of_a_job(self, pod):
        pod.config["mount"] = {"storage_provider": "minio.default", "path": "bucket"}
        line = ("/bin/sh", "-c", "unset JOB_UUID; echo $EVENT | /oscar/bin/supervisor; test ! -e /tmpfolder")
        assert pod.run(line, writable=True).code == 0


def test_a_last_word_that_can_not_be_said_is_a_warning(pod):
    pod.config["mount"] = {"storage_provider": "minio.default", "path": "bucket"}
    ended = pod.run(JOB)
    assert ended.code == 0, ended.log
    assert "WARNING - the Job will count as failed, since /tmpfolder can't be made (Read-only file system)" in ended.log


class TestAFullHouse:
    def test_a_script_that_forks_without_end_is_told_of(self, pod):
        pod.script = "f() { f | f & }; f; sleep 0.3; exit 5"
        ended = pod.run(pids=40)
        assert ended.code != 0
        assert pod.told["failure"] == "script", ended.log

    def test_what_it_wrote_is_uploaded_if_that_is_wished(self, pod):
        pod.config["upload_on"] = "always"
        pod.script = 'echo early > "$TMP_OUTPUT_DIR/file"; for n in $(seq 100); do sleep 60 & done; wait; exit 5'
        ended = pod.run(pids=30)
        assert ended.code != 0, ended.log
        assert pod.stored == {"out/file": b"early\n"}
