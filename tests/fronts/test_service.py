"""Behind the watchdog front: a request becomes an invocation in this process, and its result an answer."""

from __future__ import annotations

import base64
import io
import json
import os
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from faas_supervisor import resident
from faas_supervisor.errors import Failure, SupervisorError, Terminated
from faas_supervisor.stop import Stop
from faas_supervisor.storage import _store as store_module
from faas_supervisor.storage._store import Stores
from tests.servers import s3_client

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


class TestAnswer:
    def test_is_the_scripts_output(self, served):
        served.script('cat "$INPUT_FILE_PATH"; echo and more >&2')
        answer, body = served.ask(b"plain text\n")
        assert (answer.status, dict(answer.headers)) == (200, {})
        assert sorted(body.splitlines()) == [b"and more", b"plain text"]

    def test_is_base64_of_the_one_output_file(self, served):
        served.script('cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR"; echo not this')
        assert served.ask(base64.b64encode(PNG))[1] == base64.b64encode(PNG)

    def test_is_the_bytes_themselves_for_a_client_that_wants_them(self, served):
        served.script('cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR"')
        answer, body = served.ask(base64.b64encode(PNG), raw=True)
        assert (body, dict(answer.headers)) == (PNG, {"Content-Type": "application/octet-stream"})

    def test_of_several_files_is_a_zip(self, served):
        served.script('echo a > "$TMP_OUTPUT_DIR/a"; echo b > "$TMP_OUTPUT_DIR/b"')
        answer, body = served.ask(b"x", raw=True)
        assert answer.headers["Content-Type"] == "application/zip"
        assert sorted(zipfile.ZipFile(io.BytesIO(body)).namelist()) == ["a", "b"]
        assert zipfile.ZipFile(io.BytesIO(base64.b64decode(served.ask(b"x")[1]))).testzip() is None

    @pytest.mark.parametrize("level", ["DEBUG", "INFO", "CRITICAL"])
    def test_never_holds_the_log(self, served, level):
        served.config["log_level"] = level
        served.script("echo answer")
        assert served.ask(b"x")[1] == b"answer\n"

    @pytest.mark.parametrize(
        ("name", "value"), [("combine_output", "false"), ("FAAS_SUPERVISOR_COMBINE_OUTPUT", "false")]
    )
    def test_leaves_out_the_standard_error_where_it_is_to_be_separate(self, served, name, value):
        served.environment[name] = value
        served.script("echo out; echo err >&2")
        assert served.ask(b"x")[1] == b"out\n"

    def test_to_a_skipped_event_is_empty(self, served):
        served.script("echo never")
        answer, body = served.ask(json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"}).encode())
        assert (answer.status, body) == (200, b"")

    def test_sees_what_the_watchdog_tells_of_the_request(self, served):
        served.script('echo "$Http_Query"')
        assert served.ask(b"x", Http_Query="a=1")[1] == b"a=1\n"


class TestFailure:
    def test_of_the_script_is_its_status_and_its_output(self, served):
        served.script("echo said; echo complained >&2; exit 3")
        answer, body = served.ask(b"x")
        assert (answer.status, dict(answer.headers)) == (500, {"Content-Type": "text/plain; charset=utf-8"})
        first, *others = body.splitlines()
        assert (first, sorted(others)) == (b"exit status 3", [b"complained", b"said"])

    def test_of_ours_says_why_on_one_line(self, served):
        served.config["storage_providers"] = {"minio": {"default": {}}}
        served.script("exit 0")
        event = {"Records": [{"eventSource": "minio:s3", "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}}]}
        answer, body = served.ask(json.dumps({**event, "EventName": "s3:ObjectCreated:Put"}).encode())
        status, reason = body.decode().splitlines()
        assert (answer.status, status) == (500, "exit status 114")
        assert "minio.default" in reason

    def test_of_the_configuration_is_told_until_it_is_mended(self, served):
        served.config["records"] = "sometimes"
        served.script("echo fine")
        assert served.ask(b"x")[1].startswith(b"exit status 111\n")
        served.config["records"] = "each"
        served.write()
        assert served.ask(b"x")[1] == b"fine\n"

    def test_of_a_script_that_is_gone(self, served):
        served.write()
        assert b"there is no script" in served.ask(b"x")[1]

    def test_a_stop_raises_its_reason_and_ends_the_script(self, served, tmp_path):
        fifo = tmp_path / "started"
        os.mkfifo(fifo)
        served.script(f"echo $$ > {fifo}; sleep 600")
        stop = Stop()

        def end():
            pids.append(int(fifo.read_text()))
            stop.set(Terminated("the client left"))

        pids = []
        watcher = threading.Thread(target=end)
        watcher.start()
        with pytest.raises(SupervisorError, match="the client left") as caught:
            served.ask(b"x", stop=stop)
        watcher.join()
        assert caught.value is stop.reason
        assert caught.value.failure is Failure.TERMINATED
        with pytest.raises(ProcessLookupError):
            os.kill(pids[0], 0)


class TestResponse:
    def says(self, served, text, *, output="", body=b"x", **options):
        served.script(f"{output}\ncat > \"$RESPONSE_META\" <<'END'\n{text}\nEND\necho body")
        return served.ask(body, **options)

    def test_a_script_may_set_status_and_headers(self, served):
        answer, body = self.says(served, '{"status": 404, "headers": {"X-Reason": "no such bird"}}')
        assert (answer.status, dict(answer.headers), body) == (404, {"X-Reason": "no such bird"}, b"body\n")

    def test_is_beside_the_output_folder(self, served):
        served.script('echo \'{"status": 201}\' > "$TMP_OUTPUT_DIR/../response.json"')
        assert served.ask(b"x")[0].status == 201

    def test_a_type_makes_the_answer_the_bytes_of_the_file(self, served):
        """Base64 of a PNG is no image/png."""
        copies = 'cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/out.png"'
        text = '{"headers": {"content-type": "image/png"}}'
        answer, body = self.says(served, text, output=copies, body=base64.b64encode(PNG))
        assert (answer.status, dict(answer.headers), body) == (200, {"content-type": "image/png"}, PNG)

    @pytest.mark.parametrize("status", [204, 205, 304])
    def test_a_status_that_has_no_content_has_none(self, served, status):
        assert self.says(served, json.dumps({"status": status}))[1] == b""

    def test_that_of_a_script_that_fails_is_not_asked_for(self, served):
        served.script('echo \'{"status": 201}\' > "$RESPONSE_META"; exit 4')
        answer, body = served.ask(b"x")
        assert (answer.status, body) == (500, b"exit status 4\n")

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "no JSON",
            "[" * 100_000,
            "[200]",
            '{"status": "200"}',
            '{"status": true}',
            '{"status": 100}',
            '{"status": 600}',
            '{"staus": 200}',
            '{"headers": []}',
            '{"headers": {"X": 1}}',
            '{"headers": {"X-A": "a\\r\\nSet-Cookie: b"}}',
            '{"headers": {"X-A": "a\\nb"}}',
            '{"headers": {"X-A": "\\u0000"}}',
            '{"headers": {"X-A": "\\u00e9"}}',
            '{"headers": {"X A": "a"}}',
            '{"headers": {"X-A:": "a"}}',
            '{"headers": {"": "a"}}',
            '{"headers": {"Content-Length": "1"}}',
            '{"headers": {"transfer-encoding": "gzip, chunked"}}',
            '{"headers": {"Upgrade": "websocket"}}',
            '{"headers": {"Connection": "close"}}',
            '{"headers": {"X-A": "a", "x-a": "b"}}',
            json.dumps({"headers": {"X": "a" * 9000}}),
            json.dumps({"headers": {f"X-{n}": "" for n in range(65)}}),
            " " * 70_000,
        ],
        ids=lambda text: text[:40],
    )
    def test_a_bad_one_is_a_clear_failure(self, served, text):
        answer, body = self.says(served, text)
        assert answer.status == 500
        assert body.startswith(b"exit status 119\n")
        assert b"response.json" in body.splitlines()[-1]

    @pytest.mark.parametrize(
        "make", ['mkfifo "$RESPONSE_META"', 'ln -s /etc/passwd "$RESPONSE_META"', 'mkdir "$RESPONSE_META"']
    )
    def test_one_that_is_no_file_is_a_clear_failure(self, served, make):
        served.script(make)
        assert b"response.json" in served.ask(b"x")[1]


class TestAtOnce:
    def test_invocations_know_nothing_of_each_other(self, served):
        served.script(
            'sleep 0.$(($(cat "$INPUT_FILE_PATH") % 3)); cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR"; ls "$TMP_OUTPUT_DIR"'
        )
        with ThreadPoolExecutor(8) as pool:
            bodies = list(pool.map(lambda number: served.ask(str(number).encode(), raw=True)[1], range(40)))
        assert bodies == [str(number).encode() for number in range(40)]

    def test_nothing_is_left_but_in_the_requests_folder_which_its_front_removes(self, served):
        served.script("echo x")
        served.ask(b"x")
        (folder,) = served.requests.iterdir()
        assert {entry.name for entry in folder.iterdir()} <= {"body", "answer", "1"}


class TestLargeBodies:
    def test_reach_the_script_without_a_copy(self, served):
        """The file that the front wrote is the input file: moved, not copied."""
        served.script('stat -c "%i %s" "$INPUT_FILE_PATH"')
        body = bytes(range(256)) * (17 * 4096)
        folder = served.requests / "0"
        numbers = []
        answer = served.service.answer

        def noted(request, given):
            numbers.append((folder / "body").stat().st_ino)
            return answer(request, given)

        served.service.answer = noted
        inode, size = served.ask(body)[1].split()
        assert (int(inode), int(size)) == (numbers[0], len(body))


class TestStays:
    def test_nothing_is_left_of_a_thousand_invocations(self, served):
        served.config["output"] = [{"storage_provider": "file.local", "path": "out"}]
        served.config["storage_providers"] = {"file": {"local": {"root": str(served.storage)}}}
        served.script('cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR"')

        def held():
            return len(os.listdir("/proc/self/fd")), threading.active_count()

        for _ in range(20):
            served.ask(b"x")
        before = held()
        with ThreadPoolExecutor(4) as pool:
            for answer, _ in pool.map(lambda _: served.ask(b"x"), range(1000)):
                assert answer.status == 200
        until = time.monotonic() + 30
        while held() > before and time.monotonic() < until:
            time.sleep(0.05)
        assert held() <= before

    def test_a_changed_configuration_holds_from_the_next_request(self, served):
        served.config["environment"] = {"variables": {"A": "one"}}
        served.script("echo $A")
        assert served.ask(b"x")[1] == b"one\n"
        served.config["environment"] = {"variables": {"A": "other"}}
        served.write()
        assert served.ask(b"x")[1] == b"other\n"

    def test_a_warm_script_stays_and_goes_with_its_configuration(self, served):
        served.config.update(warm=True, environment={"variables": {"A": "one"}})
        loop = (
            'while read -r line; do . "$WARM_ENVIRONMENT"; echo "$A $$ $Http_Query"; echo \'{"status": 0}\' >&4; done'
        )
        served.script(loop)
        first, second = (served.ask(b"x", Http_Query=query)[1].split() for query in ("a", "b"))
        assert (first[0], first[2], second[2]) == (b"one", b"a", b"b")
        assert first[1] == second[1]
        served.config["environment"] = {"variables": {"A": "other"}}
        served.write()
        third = served.ask(b"x")[1].split()
        assert third[0] == b"other"
        assert third[1] != first[1]
        with pytest.raises(ProcessLookupError):
            os.kill(int(first[1]), 0)


class TestWarm:
    """A script that is started with the service."""

    LOOP = 'while read -r line; do echo "$$"; echo \'{"status": 0}\' >&4; done'

    @pytest.fixture
    def loaded(self, served, tmp_path):
        os.mkfifo(tmp_path / "loaded")
        served.config["warm"] = True
        return tmp_path / "loaded"

    def test_has_loaded_what_it_needs_before_the_first_request(self, served, loaded):
        served.script(f"echo loading; echo $$ > {loaded}; {self.LOOP}")
        served.service.prepare()
        pid = loaded.read_bytes()
        assert served.ask(b"x")[1] == pid

    def test_that_comes_in_a_variable_does_so_as_well(self, served, loaded):
        """Its file stays until its interpreter has read it."""
        text = f"echo $$ > {loaded}; {self.LOOP}"
        served.environment["SCRIPT"] = base64.b64encode(text.encode()).decode()
        served.write()
        served.service.prepare()
        pid = loaded.read_bytes()
        assert [served.ask(b"x")[1] for _ in range(2)] == [pid, pid]

    def test_has_its_limits_from_the_start(self, served, loaded):
        served.config["limits"] = {"open_files": 77}
        served.script(f"ulimit -Sn > {loaded}; {self.LOOP}")
        served.service.prepare()
        assert loaded.read_bytes() == b"77\n"

    def test_that_is_missing_hinders_nothing_and_is_told_by_every_request_until_it_is_there(self, served, loaded):
        served.write()
        served.service.prepare()
        assert b"there is no script" in served.ask(b"x")[1]
        served.script("while read -r line; do echo fine; echo '{\"status\": 0}' >&4; done")
        assert served.ask(b"x")[1] == b"fine\n"

    def test_that_dies_while_it_loads_is_told_by_every_request(self, served, loaded):
        served.script("echo no model >&2; exit 5")
        served.service.prepare()
        for _ in range(2):
            answer, body = served.ask(b"x")
            assert (answer.status, body.splitlines()[0]) == (500, b"exit status 5")

    @pytest.mark.parametrize("combined", ["true", "false"])
    def test_never_shows_one_client_what_it_printed_too_late_for_another(self, served, loaded, tmp_path, combined):
        served.environment["combine_output"] = combined
        os.mkfifo(tmp_path / "go")
        late = f"echo '{{\"status\": 0}}' >&4; read -r x < {tmp_path}/go; echo late >&2; echo late; : > {loaded}"
        served.script(
            f'while read -r line; do . "$WARM_ENVIRONMENT"; [ "$Http_Query" = first ] && {{ {late}; continue; }}; '
            "echo answer; echo '{\"status\": 0}' >&4; done"
        )
        served.ask(b"x", Http_Query="first")
        (tmp_path / "go").write_text("go\n")
        loaded.read_bytes()
        assert served.ask(b"x", Http_Query="second")[1] == b"answer\n"

    def test_of_an_old_configuration_that_takes_its_time_to_end_keeps_no_other_request_waiting(self, served, tmp_path):
        served.config.update(warm=True, kill_grace=600)
        ends = f": > {tmp_path}/ends; trap '' TERM; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done"
        served.script(f"{self.LOOP}; {ends}")
        served.ask(b"x")
        served.script(f"{self.LOOP}; :")
        with ThreadPoolExecutor(2) as pool:
            try:
                renewing = pool.submit(served.ask, b"x")
                until = time.monotonic() + 30
                while not (tmp_path / "ends").exists() and time.monotonic() < until:
                    time.sleep(0.01)
                assert pool.submit(served.ask, b"x").result(30)[0].status == 200
            finally:
                (tmp_path / "go").touch()
            assert renewing.result(30)[0].status == 200


class TestCredentials:
    """Two keys of a real server; what a secret's files hold decides which one is used."""

    def mount(self, served, key, secret):
        folder = served.secrets / "minio.default"
        folder.mkdir(exist_ok=True)
        for name, value in (("accessKey", key), ("secretKey", secret)):
            (folder / f"{name}.new").write_text(value)
            (folder / f"{name}.new").replace(folder / name)

    @pytest.fixture
    def stored(self, served, seaweedfs, new_bucket):
        bucket = new_bucket(seaweedfs)
        s3_client(seaweedfs).put_object(Bucket=bucket, Key="in/a", Body=b"hello")
        served.config["storage_providers"] = {"minio": {"default": {"endpoint": seaweedfs.url}}}
        served.script('cat "$INPUT_FILE_PATH"')
        self.mount(served, seaweedfs.access_key, seaweedfs.secret_key)
        one = {"eventSource": "minio:s3", "s3": {"bucket": {"name": bucket}, "object": {"key": "in%2Fa"}}}
        return json.dumps({"EventName": "s3:ObjectCreated:Put", "Records": [one]}).encode()

    def test_rotated_ones_are_used_from_the_next_request(self, served, stored, seaweedfs):
        assert served.ask(stored)[1] == b"hello"
        self.mount(served, "no-such-key", "no-such-secret")
        answer, body = served.ask(stored)
        assert answer.status == 500
        assert body.startswith(b"exit status 114\n"), body
        self.mount(served, seaweedfs.access_key, seaweedfs.secret_key)
        assert served.ask(stored)[1] == b"hello"

    def test_clients_stay_open_between_requests(self, served, stored, monkeypatch):
        made = []
        opened = Stores._opened
        monkeypatch.setattr(Stores, "_opened", lambda self, name: made.append(name) or opened(self, name))
        for _ in range(5):
            assert served.ask(stored)[1] == b"hello"
        assert made == ["minio.default"]

    def test_what_kubernetes_makes_and_removes_beside_the_files_closes_no_client(self, served, stored, monkeypatch):
        """It writes a new folder, swaps `..data`, removes the old one: one change, and not three."""
        made = []
        opened = Stores._opened
        monkeypatch.setattr(Stores, "_opened", lambda self, name: made.append(name) or opened(self, name))
        folder = served.secrets / "minio.default" / "..2026_01_31"
        for act in (folder.mkdir, folder.rmdir, lambda: None):
            assert served.ask(stored)[1] == b"hello"
            act()
        assert made == ["minio.default"]

    def test_a_refusal_has_them_read_again_once(self, served, stored, monkeypatch):
        """As where files change without their times, or a token was renewed between two looks."""
        assert served.ask(stored)[1] == b"hello"
        self.mount(served, "no-such-key", "no-such-secret")
        assert served.ask(stored)[0].status == 500
        monkeypatch.setattr(resident, "_state", lambda _: served.service._resident._current.state)
        monkeypatch.setattr(store_module, "_RENEWAL_APART", 0.0)
        served.service._resident._current.opened.stores._open["minio.default"]._refused_until = 0.0
        self.mount(served, *self.good)
        assert served.ask(stored)[1] == b"hello"

    @pytest.fixture(autouse=True)
    def _good(self, seaweedfs):
        self.good = (seaweedfs.access_key, seaweedfs.secret_key)
