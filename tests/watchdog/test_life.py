"""Start, health, metrics, signals, end."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import termios
import threading

import pytest

from faas_supervisor import __version__
from tests.e2e.support import alive
from tests.watchdog.support import (
    BIN,
    FWATCHDOG,
    PATIENCE,
    PROBE,
    SUPERVISOR,
    Client,
    answer,
    eventually,
    free_port,
    pid_in,
    started,
)

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def blocked(folder):
    """A script that tells that it runs, and ends when somebody says so."""
    return f"""#!/bin/sh
test -p {folder}/go || mkfifo {folder}/go
echo $$ > {folder}/script.new; mv {folder}/script.new {folder}/script
read -r word < {folder}/go
echo "$word"
"""


class TestHealth:
    def test_the_lock_file_is_there_while_requests_are_taken(self, tmp_path):
        with started(tmp_path) as watchdog:
            assert stat.S_IMODE(watchdog.lock.stat().st_mode) == 0o660
            assert watchdog.get("/_/health").status == 200
            watchdog.lock.unlink()
            assert watchdog.get("/_/health").status == 503
            watchdog.lock.touch()
            assert watchdog.get("/_/health").status == 200
        assert not watchdog.lock.exists()

    def test_without_a_lock_file_the_check_fails(self, tmp_path):
        with started(tmp_path, suppress_lock="true") as watchdog:
            assert not watchdog.lock.exists()
            assert watchdog.get("/_/health").status == 503
            assert watchdog.get("/").status == 200

    def test_the_check_does_not_wait_for_a_place(self, tmp_path):
        with started(tmp_path, script=blocked(tmp_path), max_inflight="1") as watchdog, watchdog.connected() as busy:
            busy.sendall(GET)
            pid_in(tmp_path / "script")
            assert watchdog.get("/_/health").body == b"OK"
            (tmp_path / "go").write_text("done\n")
            assert answer(busy).body == b"done\n"

    def test_a_lock_file_that_can_not_be_written_is_said_so(self, tmp_path):
        (tmp_path / "tmp" / ".lock").mkdir(parents=True)
        done = subprocess.run(
            [FWATCHDOG],
            env={"TMPDIR": str(tmp_path / "tmp"), "FAAS_SUPERVISOR_HOST": "127.0.0.1", "port": "0", "fprocess": "cat",
                 "FAAS_SUPERVISOR_METRICS_PORT": "0"},
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 111
        assert "suppress_lock=true" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_link_in_the_place_of_the_lock_file_is_not_followed(self, tmp_path):
        (tmp_path / "tmp").mkdir()
        (tmp_path / "precious").write_text("precious")
        (tmp_path / "tmp" / ".lock").symlink_to(tmp_path / "precious")
        with started(tmp_path) as watchdog:
            assert watchdog.process.wait(PATIENCE) == 111
        assert (tmp_path / "precious").read_text() == "precious"


class TestOptions:
    @pytest.mark.parametrize("option", ["-run-healthcheck", "--run-healthcheck"])
    def test_the_health_check_by_command_looks_for_the_lock_file(self, tmp_path, option):
        def check():
            return subprocess.run(
                [FWATCHDOG, option], env={"TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=False
            )

        assert (check().returncode, check().stderr) == (1, "unable to find lock file.\n")
        (tmp_path / ".lock").touch()
        assert (check().returncode, check().stderr) == (0, "")

    @pytest.mark.parametrize("option", ["-version", "--version"])
    def test_the_version_is_told(self, option):
        done = subprocess.run([FWATCHDOG, option], capture_output=True, text=True, check=True)
        assert __version__ in done.stdout

    def test_an_option_that_is_none_is_a_usage_error(self):
        done = subprocess.run([FWATCHDOG, "-serve"], capture_output=True, text=True, check=False)
        assert (done.returncode, "-serve" in done.stderr) == (2, True)

    def test_the_name_that_a_launcher_passes_on_decides(self):
        done = subprocess.run(
            [SUPERVISOR, "-version"], env={"_SUP_NAME": "fwatchdog"}, capture_output=True, text=True, check=True
        )
        assert done.stdout == f"faas-supervisor {__version__}\n"

    def test_the_command_serves_as_well(self, tmp_path):
        port = free_port()
        command = [SUPERVISOR, "serve", "--port", str(port), "--host", "127.0.0.1", "--process", str(PROBE)]
        given = {"TMPDIR": str(tmp_path), "PATH": f"{BIN}:/usr/bin:/bin", "FAAS_SUPERVISOR_METRICS_PORT": "0",
                 "healthcheck_interval": "0"}  # fmt: skip
        with subprocess.Popen(command, env=given, stderr=subprocess.PIPE) as process:
            assert b"listening on port %d" % port in process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0

    def test_a_port_that_somebody_has_is_said_so(self, tmp_path):
        with started(tmp_path / "one") as first, started(tmp_path / "two", port=str(first.port)) as second:
            assert second.process.wait(PATIENCE) == 111
            assert any(f"can't listen on port {first.port}" in line for line in second.log)


class TestKnative:
    def test_port_is_honoured_and_a_probe_of_the_port_costs_nothing(self, tmp_path):
        port = free_port()
        environment = {"port": "", "PORT": str(port), "K_SERVICE": "s", "K_REVISION": "s-1"}
        with started(tmp_path, in_process=True, **environment) as watchdog:
            assert watchdog.port == port
            for _ in range(10):
                with watchdog.connected():
                    pass
            variables = watchdog.get("/?do=env").variables
            assert (variables["K_SERVICE"], variables["K_REVISION"]) == ("s", "s-1")
            eventually(lambda: watchdog.leftovers == [], "the end of the folder")

    def test_sigterm_while_idle_ends_it(self, tmp_path):
        with started(tmp_path) as watchdog, watchdog.connected() as idle:
            assert watchdog.end(signal.SIGTERM) == 0
            assert idle.recv(1) == b""
            assert not watchdog.lock.exists()
            assert list((tmp_path / "tmp").iterdir()) == []

    def test_sigterm_while_busy_lets_the_request_end(self, tmp_path):
        with started(tmp_path, script=blocked(tmp_path)) as watchdog, watchdog.connected() as busy:
            busy.sendall(GET)
            pid_in(tmp_path / "script")
            watchdog.process.send_signal(signal.SIGTERM)
            watchdog.said("no new connections")
            eventually(lambda: refused(watchdog), "the end of the port")
            (tmp_path / "go").write_text("done\n")
            response = answer(busy)
            assert (response.status, response.body, response.headers["connection"]) == (200, b"done\n", "close")
            assert watchdog.process.wait(PATIENCE) == 0

    def test_what_does_not_end_in_time_is_ended(self, tmp_path):
        with started(tmp_path, script=blocked(tmp_path), write_timeout="1") as watchdog, watchdog.connected() as busy:
            busy.sendall(GET)
            pid = pid_in(tmp_path / "script")
            watchdog.process.send_signal(signal.SIGTERM)
            assert answer(busy).status == 503
            assert watchdog.process.wait(PATIENCE) == 0
            assert not alive(pid)
            assert list((tmp_path / "tmp").iterdir()) == []

    def test_a_second_signal_skips_the_waiting(self, tmp_path):
        settings = {"write_timeout": "1h", "healthcheck_interval": "1h"}
        with started(tmp_path, script=blocked(tmp_path), **settings) as watchdog, watchdog.connected() as busy:
            busy.sendall(GET)
            pid_in(tmp_path / "script")
            watchdog.process.send_signal(signal.SIGTERM)
            watchdog.said("no new connections")
            watchdog.process.send_signal(signal.SIGTERM)
            assert answer(busy).status == 503
            assert watchdog.process.wait(PATIENCE) == 0

    def test_after_sigterm_requests_are_taken_for_a_while_but_the_health_check_fails(self, tmp_path):
        with started(tmp_path, healthcheck_interval="1h") as watchdog:
            watchdog.process.send_signal(signal.SIGTERM)
            watchdog.said("no new connections")
            assert not watchdog.lock.exists()
            assert watchdog.get("/_/health").status == 503
            assert watchdog.request("POST", "/", b"still here").body == b"still here"


def refused(watchdog):
    try:
        with watchdog.connected():
            return False
    except ConnectionRefusedError:
        return True


class TestWarmScripts:
    LOOP = """while read -r request; do echo $$; echo '{"status": 0}' >&"$WARM_REPLY_FD"; done"""

    def test_one_is_started_before_any_request_and_ends_with_the_service(self, tmp_path):
        loads = f"echo loading; echo $$ > {tmp_path}/script.new; mv {tmp_path}/script.new {tmp_path}/script"
        script = f"#!/bin/sh\n{loads}\n{self.LOOP}\necho > {tmp_path}/ended\n"
        with started(tmp_path, in_process=True, script=script, FAAS_SUPERVISOR_WARM="true") as watchdog:
            pid = pid_in(tmp_path / "script")
            assert watchdog.request("POST", "/", b"x").body == f"{pid}\n".encode()
            assert watchdog.end(signal.SIGTERM) == 0
        assert (tmp_path / "ended").exists()
        assert not alive(pid)
        assert watchdog.leftovers == []

    @pytest.mark.parametrize("script", ["\x7fELF is no program", "echo no model >&2; exit 5"])
    def test_one_that_is_broken_is_told_by_requests_and_hinders_no_start(self, tmp_path, script):
        with started(tmp_path, in_process=True, script=script, FAAS_SUPERVISOR_WARM="true") as watchdog:
            assert watchdog.get("/_/health").status == 200
            answers = [watchdog.request("POST", "/", b"x") for _ in range(2)]
            assert [(one.status, one.body[:11]) for one in answers] == [(500, b"exit status")] * 2
            watchdog.said("the script can't be started yet" if "ELF" in script else "no model")
            assert watchdog.end(signal.SIGTERM) == 0


class TestMetrics:
    def test_requests_are_counted_as_go_s_client_counts_them(self, tmp_path):
        with started(tmp_path) as watchdog:
            watchdog.get("/")
            watchdog.request("POST", "/", b"x")
            watchdog.get("/?do=exit1")
            watchdog.request("BREW", "/")
            watchdog.get("/_/health")
            eventually(lambda: watchdog.scrape()["http_requests_in_flight"] == 0, "the end of the last request")
            seen = watchdog.scrape()
        totals = {name: number for name, number in seen.items() if name.startswith("http_requests_total")}
        assert totals == {
            'http_requests_total{code="200",method="get"}': 1,
            'http_requests_total{code="200",method="post"}': 1,
            'http_requests_total{code="500",method="get"}': 1,
            'http_requests_total{code="405",method="unknown"}': 1,
        }
        buckets = re.findall(r'duration_seconds_bucket{code="200",le="([^"]+)",method="get"}', "\n".join(seen))
        assert buckets == ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf"]
        assert seen['http_request_duration_seconds_count{code="200",method="get"}'] == 1
        assert not any("_created" in name for name in seen)
        assert seen["process_resident_memory_bytes"] > 0

    def test_a_request_under_way_is_in_flight(self, tmp_path):
        with started(tmp_path, script=blocked(tmp_path)) as watchdog, watchdog.connected() as busy:
            busy.sendall(GET)
            pid_in(tmp_path / "script")
            seen = watchdog.scrape()
            assert (seen["http_requests_in_flight"], seen["faas_supervisor_scripts_in_flight"]) == (1, 1)
            (tmp_path / "go").write_text("done\n")
            assert answer(busy).status == 200

    def test_invocations_are_counted_by_what_became_of_them(self, tmp_path):
        with started(tmp_path, in_process=True) as watchdog:
            watchdog.request("POST", "/", b"x")
            watchdog.get("/?do=exit3")
            seen = watchdog.scrape()
        assert seen['faas_supervisor_invocations_total{failure="",status="succeeded"}'] == 1
        assert seen['faas_supervisor_invocations_total{failure="script",status="failed"}'] == 1
        assert seen['faas_supervisor_phase_seconds_total{phase="script"}'] > 0
        assert seen["faas_supervisor_script_peak_memory_bytes"] > 0

    def test_nothing_else_is_there(self, tmp_path):
        with started(tmp_path) as watchdog:
            metrics = Client(watchdog.host, watchdog.metrics_port)
            assert metrics.get("/").status == 404
            assert metrics.request("POST", "/metrics", b"x").status == 405
            assert metrics.get("/metrics").headers["content-type"].startswith("text/plain; version=")
            assert not any(name.startswith("http_requests_total") for name in watchdog.scrape())

    def test_a_function_is_served_without_them(self, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            with started(tmp_path, FAAS_SUPERVISOR_METRICS_PORT=port) as watchdog:
                assert watchdog.said("there are no metrics")
                assert watchdog.get("/").status == 200


def test_many_at_once_get_their_own_answers(tmp_path):
    with started(tmp_path, in_process=True) as watchdog:
        bodies = [f"body {number}".encode() for number in range(40)]
        answers = dict.fromkeys(bodies)

        def ask(body):
            answers[body] = watchdog.request("POST", "/", body).body

        threads = [threading.Thread(target=ask, args=(body,)) for body in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert answers == {body: body for body in bodies}


def test_nothing_of_ours_reaches_a_program(tmp_path):
    with started(tmp_path, _SUP_NAME="fwatchdog", _PYI_X="1") as watchdog:
        variables = watchdog.get("/?do=env").variables
        assert not {name for name in variables if name.startswith(("_SUP_", "_PYI_"))}


def test_an_answer_never_holds_our_log(tmp_path):
    with started(tmp_path, in_process=True, LOG_LEVEL="DEBUG") as watchdog:
        response = watchdog.request("POST", "/", b"only this")
        assert response.body == b"only this"
        assert os.path.lexists(watchdog.lock)


def waiting(pipe):
    """How many bytes wait in a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.parametrize("in_process", [False, True], ids=["a program", "in process"])
class TestWriteDebug:
    """The classic watchdog has it, and OSCAR sets it."""

    def test_puts_answers_into_the_container_s_log_too(self, tmp_path, in_process):
        with started(tmp_path, in_process=in_process, write_debug="true") as watchdog:
            assert watchdog.request("POST", "/", b"\xff\0 first\n").body == b"\xff\0 first\n"
            assert watchdog.get("/?do=exit3").body == b"exit status 3\nbefore the end\n"
            assert watchdog.stdout == b"\xff\0 first\nexit status 3\nbefore the end\n"

    def test_lets_a_log_that_nobody_reads_keep_no_place_of_a_client_that_left(self, tmp_path, in_process):
        script = "#!/bin/sh\nhead -c ${Http_Query:-0} /dev/zero\n"
        reader, writer = os.pipe()
        given = {"in_process": in_process, "script": script, "stdout": writer, "max_inflight": "1"}
        with os.fdopen(reader), os.fdopen(writer, "w"), started(tmp_path, write_debug="true", **given) as watchdog:
            with watchdog.connected() as connection:
                connection.sendall(b"GET /?200000 HTTP/1.1\r\nHost: x\r\n\r\n")
                eventually(lambda: waiting(reader) >= 65536, "a log that is full")
                assert watchdog.get("/").status == 429
            eventually(lambda: watchdog.get("/").status == 200, "the end of the request")

    @pytest.mark.parametrize("text", ["false", "True", "1"])
    def test_is_off_unless_it_is_true(self, tmp_path, in_process, text):
        with started(tmp_path, in_process=in_process, write_debug=text) as watchdog:
            assert watchdog.request("POST", "/", b"answer\n").body == b"answer\n"
            assert watchdog.stdout == b""


@pytest.mark.parametrize("believed", [False, True], ids=["a caller's header", "the container's variable"])
def test_no_header_of_a_caller_leads_our_transfers_to_a_proxy(tmp_path, believed):
    store = '{endpoint: "http://store.invalid", access_key: accesskey1, secret_key: secretkey1}'
    config = f"""\
name: function
output: [{{storage_provider: minio.default, path: bucket/out}}]
transfer_deadline: 1s
storage_providers: {{minio: {{default: {store}}}}}
"""
    asked = threading.Event()

    def hang_up(proxy):
        with contextlib.suppress(OSError):
            while True:
                proxy.accept()[0].close()
                asked.set()

    with socket.create_server(("127.0.0.1", 0)) as proxy:
        thread = threading.Thread(target=hang_up, args=(proxy,))
        thread.start()
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        settings = {"FUNCTION_CONFIG": base64.b64encode(config.encode()).decode()}
        if believed:
            settings["http_proxy"] = address
        script = '#!/bin/sh\necho x > "$TMP_OUTPUT_DIR/x"\n'
        with started(tmp_path, in_process=True, script=script, **settings) as watchdog:
            assert watchdog.request("POST", "/", b"data", {"Proxy": address}).status == 500
        proxy.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)
    assert asked.is_set() is believed
