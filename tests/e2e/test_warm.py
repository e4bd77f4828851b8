"""A warm script in a Job: one process for all records of an event, each record's files and failures its own."""

from __future__ import annotations

import json
import signal

import pytest

from tests.e2e.support import alive, delegated, fails, notification, record, succeeds
from tests.e2e.test_termination import wait_for

RECORDS = 20
NAMES = [f"n{number:02}" for number in range(RECORDS)]

# What stands for BODY may set `status`; what it has of its process and of earlier runs shows in the output.
LOOP = """\
#!/bin/sh
loaded=$(($(cat HOME/loads 2>/dev/null || echo 0) + 1))
echo $loaded > HOME/loads
runs=0
while read -r request; do
    . "$WARM_ENVIRONMENT"
    runs=$((runs + 1))
    status=0
    name=${INPUT_FILE_PATH##*/}
    BODY
    echo "$loaded $runs $(cat "$INPUT_FILE_PATH") $STORAGE_OBJECT_KEY" > "$TMP_OUTPUT_DIR/$name.out"
    echo "$INPUT_FILE_PATH" >> HOME/staged
    echo "{\\"status\\": $status}" >&"$WARM_REPLY_FD"
done
echo "$loaded" >> HOME/goodbyes
"""


class Warm:
    """A function with a warm script and a folder or a provider for its files."""

    def __init__(self, service):
        self.service = service
        service.config["warm"] = True
        service.outputs("minio.default bucket/out")
        self.loop()

    def loop(self, body=":"):
        self.service.script = LOOP.replace("BODY", body).replace("HOME", str(self.service.home))

    def put(self):
        for name in NAMES:
            self.service.put(f"bucket/in/{name}", f"content-of-{name}".encode())

    def event(self, names=NAMES):
        return notification(*(record(f"bucket/in/{name}") for name in names))

    def run(self, names=NAMES):
        return self.service.run(self.event(names))

    def outputs(self):
        """Which process wrote each output, as how many-eth run, and what it saw of its input."""
        stored = self.service.stored()
        return {
            path.removeprefix("bucket/out/").removesuffix(".out"): data.decode().split()
            for path, data in stored.items()
            if path.startswith("bucket/out/")
        }

    def lines(self, name):
        """What the script wrote into a file beside the configuration."""
        return (self.service.home / name).read_text().split()


@pytest.fixture
def warm(service):
    made = Warm(service)
    made.put()
    return made


def failures(done, service, names=NAMES):
    """What failed, with its exit code, after asserting that nothing is left, and that all say the same of it."""
    assert done.result["status"] == "failed"
    assert done.code == done.result["exit_code"] != 0
    runs = done.result["runs"]
    assert [run["record"] for run in runs] == [f"bucket/in/{name}" for name in names]
    failed = {
        name: (run["failure"], run["exit_code"])
        for name, run in zip(names, runs, strict=True)
        if run["status"] != "succeeded"
    }
    assert len(done.errors) == len(failed)
    first = next(iter(failed))
    assert (done.result["failure"], done.code) == failed[first]
    assert f"bucket/in/{first}" in json.loads(done.termination)["reason"]
    assert "Traceback" not in done.stderr
    assert list(service.workspace.iterdir()) == []
    return failed


class TestOneEventOfManyRecords:
    def test_is_the_work_of_one_process_and_each_files_go_their_way(self, warm):
        done = warm.run()

        succeeds(done, warm.service)
        assert warm.outputs() == {
            name: ["1", str(number), f"content-of-{name}", f"in/{name}"] for number, name in enumerate(NAMES, start=1)
        }
        runs = done.result["runs"]
        assert [(run["record"], run["status"]) for run in runs] == [(f"bucket/in/{n}", "succeeded") for n in NAMES]
        assert [entry["path"] for entry in done.result["outputs"]] == [f"bucket/out/{name}.out" for name in NAMES]

    def test_leaves_the_script_the_end_of_its_input(self, warm):
        succeeds(warm.run(), warm.service)

        assert warm.lines("goodbyes") == ["1"]

    def test_shows_the_script_no_file_of_an_earlier_record(self, warm):
        warm.loop(f'find {warm.service.workspace} -name "n??*" -type f | wc -l >> {warm.service.home}/seen')

        succeeds(warm.run(), warm.service)

        assert warm.lines("seen") == ["1"] * RECORDS

    def test_comes_to_a_job_by_its_variables_as_well(self, warm):
        warm.service.provider("file.store", root=str(warm.service.storage / "minio.default"))
        warm.service.outputs("file.store bucket/out")

        done = warm.service.job(delegated(warm.event(), "file.store"))

        succeeds(done, warm.service)
        assert [warm.outputs()[name][:2] for name in NAMES] == [["1", str(n)] for n in range(1, RECORDS + 1)]

    def test_in_which_one_fails_goes_on_with_the_same_process(self, warm):
        warm.loop("[ $name = n03 ] && status=7")

        done = warm.run()

        assert failures(done, warm.service) == {"n03": ("script", 7)}
        outputs = warm.outputs()
        assert outputs.keys() == set(NAMES) - {"n03"}
        assert {one[0] for one in outputs.values()} == {"1"}

    def test_whose_script_dies_of_one_has_the_others_done_by_a_new_one(self, warm):
        warm.loop("case $name in n05) kill -9 $$;; n11) exit 3;; n12) exit 0;; esac")

        done = warm.run()

        assert failures(done, warm.service) == {"n05": ("script", 137), "n11": ("script", 3), "n12": ("script", 1)}
        outputs = warm.outputs()
        assert outputs.keys() == set(NAMES) - {"n05", "n11", "n12"}
        assert [outputs[name][0] for name in ("n04", "n06", "n10", "n13", "n19")] == ["1", "2", "2", "4", "4"]

    def test_of_which_one_takes_too_long_is_done_but_for_that(self, warm):
        warm.service.config["limits"] = {"time": "2s"}
        warm.loop("[ $name = n02 ] && sleep 600")

        done = warm.run()

        assert failures(done, warm.service) == {"n02": ("time_limit", 124)}
        assert done.result["runs"][2]["limit"]["name"] == "time"
        outputs = warm.outputs()
        assert outputs.keys() == set(NAMES) - {"n02"}
        assert [outputs[name][0] for name in ("n01", "n03", "n19")] == ["1", "2", "2"]

    def test_of_which_one_is_missing_is_done_but_for_that(self, warm):
        (warm.service.storage / "minio.default/bucket/in/n04").unlink()

        done = warm.run()

        assert failures(done, warm.service) == {"n04": ("input_missing", 115)}
        assert {one[0] for one in warm.outputs().values()} == {"1"}

    def test_whose_script_never_works_tries_each_record_and_does_not_wait_for_long(self, warm):
        """A Job has no more starts than records; ten seconds before each of a thousand would be three hours."""
        warm.service.script = "exit 5\n"

        done = warm.run(NAMES[:7])

        assert failures(done, warm.service, NAMES[:7]) == dict.fromkeys(NAMES[:7], ("script", 5))
        pauses = [line.rpartition(" in ")[2] for line in done.warnings]
        assert pauses == ["0.1 s", "0.2 s", "0.4 s", "0.8 s", "1.0 s", "1.0 s"]


class TestOnTheirOwn:
    """What a script answers and prints belongs to the record that it was about."""

    def test_outputs_of_a_record_whose_script_failed_are_uploaded_where_always_is_wanted(self, warm):
        warm.service.config["upload_on"] = "always"
        warm.loop('[ $name = n01 ] && { echo half > "$TMP_OUTPUT_DIR/half"; echo \'{"status": 5}\' >&4; continue; }')

        done = warm.run()

        assert failures(done, warm.service) == {"n01": ("script", 5)}
        assert warm.service.stored()["bucket/out/half"] == b"half\n"

    def test_what_it_prints_is_in_the_log_of_its_record(self, warm):
        warm.service.config["logs"] = {"storage_provider": "minio.default", "path": "bucket/logs"}
        warm.loop("echo about $name; echo trouble with $name >&2")

        succeeds(warm.run(), warm.service)

        logs = {path: data for path, data in warm.service.stored().items() if path.startswith("bucket/logs/")}
        told = {name: b"".join(data for path, data in logs.items() if name in path) for name in NAMES}
        assert {name: sorted(data.splitlines()) for name, data in told.items()} == {
            name: sorted([f"about {name}".encode(), f"trouble with {name}".encode()]) for name in NAMES
        }


class TestTermination:
    """SIGTERM ends a Job in good order: the script hears of it, and no further record is begun."""

    def ended(self, warm, *, grace="10"):
        started = warm.service.home / "pid"
        arguments = ["run", "--config", str(warm.service.write()[0]), "--storage", str(warm.service.storage)]
        process = warm.service.start(arguments, {**warm.service.environment, "FAAS_SUPERVISOR_KILL_GRACE": grace})
        try:
            process.stdin.write(warm.event())
            process.stdin.close()
            process.stdin = None
            wait_for(started.exists, "the record")
            process.send_signal(signal.SIGTERM)
            return warm.service.done(process, None), int(started.read_text())
        finally:
            process.kill()

    def hang(self, warm, first=":", then="while :; do sleep 0.02; done"):
        home = warm.service.home
        hung = f"echo $$ > {home}/new; mv {home}/new {home}/pid; {then}"
        warm.loop(f'[ $name = n02 ] && {{ {first}\necho half > "$TMP_OUTPUT_DIR/half"; {hung}; }}')

    def test_reaches_the_script_in_the_middle_of_a_record(self, warm):
        self.hang(warm, f"trap 'echo bye > {warm.service.home}/bye; exit 0' TERM")

        done, pid = self.ended(warm)

        fails(done, warm.service, 143, "terminated")
        assert warm.lines("bye") == ["bye"]
        assert not alive(pid)
        assert [run["status"] for run in done.result["runs"]] == ["succeeded", "succeeded", "failed"]
        assert warm.outputs().keys() == {"n00", "n01"}

    def test_ends_one_that_does_not_listen_after_kill_grace(self, warm):
        self.hang(warm, "trap '' TERM")

        done, pid = self.ended(warm, grace="300ms")

        fails(done, warm.service, 143, "terminated")
        assert not alive(pid)
        assert done.result["signal"] == signal.SIGKILL

    def test_ends_all_that_it_has_started(self, warm):
        home = warm.service.home
        self.hang(warm, f"setsid sleep 600 & echo $! > {home}/child", then="wait")

        done, _ = self.ended(warm)

        fails(done, warm.service, 143, "terminated")
        assert not alive(int(warm.lines("child")[0]))


class TestTheEnd:
    """When no more records come, a script has the end of its input, SIGTERM and `kill_grace` to end."""

    def deaf(self, warm, trap):
        warm.service.script = f"trap '{trap}' TERM\n{warm.service.script}while :; do sleep 0.02; done\n"
        return warm.service.home / "late"

    def test_one_that_does_not_end_is_killed_after_kill_grace(self, warm):
        warm.service.config["kill_grace"] = "300ms"
        late = self.deaf(warm, f"sleep 5; touch {warm.service.home}/late")

        succeeds(warm.run(), warm.service)

        assert not late.exists()

    def test_one_that_ends_at_sigterm_has_kill_grace_for_it(self, warm):
        warm.service.config["kill_grace"] = "20s"
        late = self.deaf(warm, f"sleep 0.5; touch {warm.service.home}/late; exit")

        succeeds(warm.run(), warm.service)

        assert late.exists()
