"""Clients that are slow, leave, or mean harm: none of them costs the others anything."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import struct
from pathlib import Path

import pytest

from tests.e2e.support import alive
from tests.watchdog.support import PATIENCE, answer, eventually, pid_in, started

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def sleeper(tmp_path):
    """A script that sleeps for `?600` seconds, with a child, and tells both process numbers."""
    return f"""#!/bin/sh
sleep "$Http_Query" &
echo $! > {tmp_path}/child.new; mv {tmp_path}/child.new {tmp_path}/child
echo $$ > {tmp_path}/script.new; mv {tmp_path}/script.new {tmp_path}/script
wait
echo done
"""


def reset(connection):
    """Close a connection so that the other side gets an RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class TestLeaving:
    @pytest.mark.parametrize("leave", [socket.socket.close, reset], ids=["close", "reset"])
    def test_a_client_that_leaves_ends_its_script_and_frees_its_place(self, tmp_path, sleeper, leave):
        with started(tmp_path, script=sleeper, max_inflight="1") as watchdog:
            with watchdog.connected() as connection:
                connection.sendall(b"GET /?600 HTTP/1.1\r\nHost: x\r\n\r\n")
                processes = [pid_in(tmp_path / "script"), pid_in(tmp_path / "child")]
                leave(connection)
            eventually(lambda: not any(alive(pid) for pid in processes), "the end of script and child")
            eventually(lambda: watchdog.leftovers == [], "the end of the folder")
            assert watchdog.get("/?0").status == 200
            assert watchdog.scrape()['http_requests_total{code="499",method="get"}'] == 1

    def test_a_client_that_only_has_said_everything_gets_its_answer(self, tmp_path, sleeper):
        with started(tmp_path, script=sleeper) as watchdog, watchdog.connected() as connection:
            connection.sendall(b"GET /?0.5 HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            response = answer(connection)
            assert (response.status, response.body) == (200, b"done\n")

    def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing(self, tmp_path):
        with started(tmp_path) as watchdog:
            with watchdog.connected() as connection:
                connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\nhalf")
                eventually(lambda: watchdog.leftovers, "the folder of the request")
            eventually(lambda: watchdog.leftovers == [], "the end of the folder")
            assert watchdog.get("/").status == 200

    def test_a_client_that_leaves_while_it_is_answered_leaves_nothing(self, tmp_path):
        script = "#!/bin/sh\nhead -c 100000000 /dev/zero\n"
        with started(tmp_path, script=script) as watchdog:
            with watchdog.connected() as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert connection.recv(100)
                reset(connection)
            eventually(lambda: watchdog.leftovers == [], "the end of the folder")
            eventually(lambda: watchdog.scrape()["http_requests_in_flight"] == 0, "the end of the request")


class TestSlowness:
    def test_heads_that_never_end_are_cut_off_and_keep_nobody_waiting(self, tmp_path):
        with started(tmp_path, read_timeout="1") as watchdog, contextlib.ExitStack() as stack:
            slow = [stack.enter_context(watchdog.connected()) for _ in range(50)]
            for connection in slow:
                connection.sendall(b"POST / HTTP/1.1\r\nX-Slow: ")
            assert watchdog.get("/?do=nothing").status == 200
            # One byte now and then doesn't help.
            for connection in slow:
                with contextlib.suppress(ConnectionError):
                    while not ended(connection):
                        connection.sendall(b"x")

    def test_a_body_that_never_ends_is_a_bad_request_and_takes_no_place(self, tmp_path):
        with started(tmp_path, read_timeout="1", max_inflight="1") as watchdog:
            with watchdog.connected() as connection:
                connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\nhalf")
                eventually(lambda: watchdog.leftovers, "the folder of the request")
                assert watchdog.get("/?do=nothing").status == 200
                response = answer(connection)
            assert (response.status, response.headers["connection"]) == (400, "close")
            eventually(lambda: watchdog.leftovers == [], "the end of the folder")

    def test_a_body_that_is_there_when_all_places_are_taken_is_refused(self, tmp_path, sleeper):
        with started(tmp_path, script=sleeper, max_inflight="1") as watchdog:
            with watchdog.connected() as slow, watchdog.connected() as busy:
                slow.sendall(b"POST /?0 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nha")
                eventually(lambda: watchdog.leftovers, "the folder of the request")
                busy.sendall(b"GET /?600 HTTP/1.1\r\nHost: x\r\n\r\n")
                pid_in(tmp_path / "script")
                slow.sendall(b"lf")
                assert answer(slow).status == 429

    def test_a_connection_that_says_nothing_is_closed(self, tmp_path):
        with started(tmp_path, read_timeout="1") as watchdog, watchdog.connected() as connection:
            assert connection.recv(1) == b""

    def test_a_reader_that_does_not_read_is_cut_off_and_takes_no_place(self, tmp_path):
        script = "#!/bin/sh\nhead -c ${Http_Query:-0} /dev/zero\n"
        with started(tmp_path, script=script, write_timeout="1", max_inflight="1") as watchdog:
            with watchdog.connected() as connection:
                connection.sendall(b"GET /?100000000 HTTP/1.1\r\nHost: x\r\n\r\n")
                assert connection.recv(10) == b"HTTP/1.1 2"
                assert watchdog.get("/").status == 200
                eventually(lambda: watchdog.leftovers == [], "the end of the folder")
                with pytest.raises(ConnectionError):
                    while connection.recv(1 << 20):
                        pass
                    raise ConnectionError  # the end instead of a reset is as good

    def test_when_there_are_too_many_the_one_that_waits_longest_gives_way(self, tmp_path):
        with started(tmp_path, descriptors=64 + 20 + 40, max_inflight="1") as watchdog, contextlib.ExitStack() as stack:
            waiting = [stack.enter_context(watchdog.connected()) for _ in range(100)]
            assert watchdog.get("/?do=nothing").status == 200
            assert waiting[0].recv(1) == b""
            waiting[-1].sendall(b"GET /?do=nothing HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer(waiting[-1]).status == 200


def ended(connection):
    """Whether the other side has closed."""
    connection.settimeout(0.05)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False


class TestScripts:
    def test_one_that_hangs_is_killed_with_all_that_it_started(self, tmp_path, sleeper):
        script = sleeper.replace("#!/bin/sh\n", "#!/bin/sh\ntrap '' TERM\n")
        with started(tmp_path, script=script, max_inflight="1", exec_timeout="500ms") as watchdog:
            for _ in range(2):  # the place is free again
                response = watchdog.get("/?600")
                assert (response.status, response.body) == (408, b"Killed process.\n")
            assert not alive(pid_in(tmp_path / "script"))
            assert not alive(pid_in(tmp_path / "child"))
            eventually(lambda: watchdog.leftovers == [], "the end of the folder")

    def test_one_whose_child_holds_its_output_takes_no_place(self, tmp_path):
        script = "#!/bin/sh\nsleep 600 &\necho $!\n"
        with started(tmp_path, script=script, max_inflight="1") as watchdog:
            for _ in range(2):
                response = watchdog.get("/")
                assert response.status == 200
                eventually(lambda pid=int(response.body): not alive(pid), "the end of the child")

    def test_one_whose_child_has_left_its_session_is_ended_with_it_while_others_run(self, tmp_path, sleeper):
        stray = '#!/bin/sh\nif test "$Http_Query" = stray; then setsid sleep 600 & echo $!; exit; fi\n'
        with started(tmp_path, script=sleeper.replace("#!/bin/sh\n", stray)) as watchdog, watchdog.connected() as busy:
            busy.sendall(b"GET /?600 HTTP/1.1\r\nHost: x\r\n\r\n")
            other = pid_in(tmp_path / "child")
            left = int(watchdog.get("/?stray").body)
            eventually(lambda: not alive(left), "the end of the child")
            assert alive(other)

    def test_one_that_floods_is_answered_from_the_disk(self, tmp_path):
        script = "#!/bin/sh\nhead -c 300000000 /dev/zero\n"
        with started(tmp_path, script=script) as watchdog:
            connection = http.client.HTTPConnection("127.0.0.1", watchdog.port, timeout=PATIENCE)
            with contextlib.closing(connection):
                connection.request("GET", "/")
                response = connection.getresponse()
                assert response.getheader("Content-Length") == "300000000"
                size = 0
                while piece := response.read(1 << 20):
                    size += len(piece)
            assert size == 300_000_000
            assert peak_memory(watchdog.process.pid) < 100 << 20

    def test_one_that_reads_nothing_is_answered(self, tmp_path):
        with started(tmp_path, script="#!/bin/sh\necho fine\n") as watchdog:
            assert watchdog.request("POST", "/", b"x" * 1_000_000).body == b"fine\n"

    @pytest.mark.parametrize(
        ("program", "said"),
        [
            ("no-such-program", b'exec: "no-such-program": executable file not found in $PATH\n'),
            ("/dev/null", b'exec: "/dev/null": executable file not found in $PATH\n'),
        ],
    )
    def test_one_that_can_not_be_started_is_said_so(self, tmp_path, program, said):
        with started(tmp_path, fprocess=program) as watchdog:
            response = watchdog.get("/")
            assert (response.status, response.body) == (500, said)


def peak_memory(pid):
    """The most that a process ever had in memory, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.fixture(scope="module")
def watchdog(tmp_path_factory):
    """One whose script tells what it was asked for."""
    folder = tmp_path_factory.mktemp("harm")
    script = f'#!/bin/sh\necho "$Http_Method $Http_Path" >> {folder}/seen\nenv\n'
    with started(folder, script=script, FAAS_SUPERVISOR_MAX_BODY_SIZE="1M") as watchdog:
        yield watchdog


class TestHarm:
    SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

    @pytest.mark.parametrize(
        ("head", "body", "status"),
        [
            (b"Content-Length: 6\r\nTransfer-Encoding: chunked", b"0\r\n\r\n", 400),
            (b"Transfer-Encoding: chunked\r\nContent-Length: 6", b"0\r\n\r\n", 400),
            (b"Content-Length: 0\r\nContent-Length: 40", b"", 400),
            (b"Content-Length: 0, 40", b"", 400),
            (b"Content-Length: +0", b"", 400),
            (b"Content-Length: -1", b"", 400),
            (b"Content-Length: 0x0", b"", 400),
            (b"Content-Length: 999999999999999999999999", b"", 400),
            (b"Content-Length : 0", b"", 400),
            (b"Transfer-Encoding: xchunked", b"0\r\n\r\n", 501),
            (b"Transfer-Encoding: chunked, identity", b"0\r\n\r\n", 501),
            (b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", b"0\r\n\r\n", 501),
            (b"Transfer-Encoding: \x0bchunked", b"0\r\n\r\n", 400),
            (b"Transfer-Encoding: chunked", b"zz\r\n\r\n", 400),
            (b"Transfer-Encoding: chunked", b"-1\r\n\r\n", 400),
            (b"Transfer-Encoding: chunked", b"1\r\naXX0\r\n\r\n", 400),
            (b"Transfer-Encoding: chunked", b"1_0\r\n", 400),
            (b"X-Nul: a\x00b", b"", 400),
            (b"X-Cr: a\rb", b"", 400),
            (b"X-No-Colon", b"", 400),
            (b": no name", b"", 400),
            (b"Bad Name: x", b"", 400),
            (b"Host: other", b"", 400),
            (b"Content-Length: 2000000", b"", 413),
        ],
    )  # fmt: skip
    def test_a_request_that_can_be_read_in_two_ways_is_refused_with_all_that_follows(
        self, watchdog, head, body, status
    ):
        before = watchdog.process.poll()
        with watchdog.connected() as connection:
            connection.sendall(HEAD + head + b"\r\n\r\n" + body + self.SMUGGLED)
            response = answer(connection)
            assert response.status == status, response
            rest = b""
            with contextlib.suppress(ConnectionError):
                while piece := connection.recv(1 << 16):
                    rest += piece
        seen = (watchdog.folder / "seen").read_text() if (watchdog.folder / "seen").exists() else ""
        assert rest == b""
        assert "/smuggled" not in seen
        assert before is watchdog.process.poll() is None

    @pytest.mark.parametrize(
        "line",
        [
            b"GET /%zz HTTP/1.1", b"GET /%00 HTTP/1.1", b"GET / HTTP/2.0", b"GET / HTTP/1.1.1", b"GET  / HTTP/1.1",
            b"GET /\xff HTTP/1.1", b"\x16\x03\x01\x02\x00\x01\x00", b"GET", b"G\x00T / HTTP/1.1", b"PRI * HTTP/2.0",
        ],
    )  # fmt: skip
    def test_a_line_that_is_no_request_is_a_bad_one(self, watchdog, line):
        assert watchdog.raw(line + b"\r\nHost: x\r\n\r\n").status in {400, 405, 505}

    @pytest.mark.parametrize("value", ["soon", "0", "-1", "", "1d"])
    def test_a_time_limit_that_is_none_is_a_bad_request(self, watchdog, value):
        assert watchdog.get("/", **{"X-Timeout": value}).status == 400

    def test_a_request_without_a_host_is_a_bad_one(self, watchdog):
        assert watchdog.raw(b"GET / HTTP/1.1\r\n\r\n").status == 400

    def test_a_body_in_chunks_that_grows_too_large_is_refused(self, watchdog):
        with watchdog.connected() as connection:
            connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                for _ in range(20):
                    connection.sendall(b"20000\r\n" + b"x" * 0x20000 + b"\r\n")
            assert answer(connection).status == 413
        eventually(lambda: watchdog.leftovers == [], "the end of the folder")

    def test_a_client_that_sends_what_is_too_large_is_heard_out(self, watchdog):
        with watchdog.connected() as connection:
            connection.sendall(HEAD + b"Content-Length: 3500000\r\n\r\n" + bytes(3_500_000))
            assert answer(connection).status == 413
            assert connection.recv(1) == b""  # the end, not a reset, with which the answer might be lost

    def test_a_client_that_asks_first_need_not_send_what_is_too_large(self, watchdog):
        response = watchdog.raw(HEAD + b"Content-Length: 2000000\r\nExpect: 100-continue\r\n\r\n")
        assert (response.status, response.headers["connection"]) == (413, "close")

    def test_a_header_with_the_same_length_twice_is_one(self, watchdog):
        response = watchdog.raw(HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
        assert response.status == 200

    def test_a_variable_that_no_program_can_get_is_left_out(self, watchdog):
        response = watchdog.get("/", **{"X-Long": "x" * 200_000, "X-Short": "1"})
        assert response.status == 200
        assert response.variables["Http_X_Short"] == "1"
        assert "Http_X_Long" not in response.variables
        assert watchdog.said("Http_X_Long is not set for the script")

    def test_more_variables_than_a_program_can_get_are_said_so(self, watchdog):
        old = watchdog.get("/", **{f"X-{number}": "x" * 1000 for number in range(900)})
        assert old.status in {200, 500}
        assert watchdog.get("/").status == 200

    def test_bytes_that_are_no_text_reach_the_script_as_they_are(self, watchdog):
        response = watchdog.raw(b"GET /%ff HTTP/1.1\r\nHost: x\r\nX-Bytes: \xfe\xff\r\nConnection: close\r\n\r\n")
        assert b"Http_X_Bytes=\xfe\xff\n" in response.body
        assert b"Http_Path=/\xff\n" in response.body

    def test_a_type_that_is_no_text_comes_back_as_it_came(self, watchdog):
        with watchdog.connected() as connection:
            connection.sendall(HEAD + b"Content-Type: text/plain; name=\xc3\xa9\xff\r\nContent-Length: 0\r\n\r\n")
            response = answer(connection)
        assert (response.status, response.headers["content-type"]) == (200, "text/plain; name=\xc3\xa9\xff")

    def test_nothing_of_this_harms_the_next_request(self, watchdog):
        assert watchdog.get("/").status == 200
        eventually(lambda: watchdog.leftovers == [], "the end of the folder")


def test_signals_of_a_terminal_end_it_too(tmp_path):
    with started(tmp_path) as watchdog:
        assert watchdog.end(signal.SIGINT) == 0
        assert not os.path.lexists(watchdog.lock)


def test_debug_headers_are_logged_without_credentials(tmp_path):
    with started(tmp_path, debug_headers="true") as watchdog:
        watchdog.get("/", Authorization="Bearer s3cr3t", **{"X-Api-Key": "s3cr3t", "X-Plain": "shown"})
        assert watchdog.said("[in] x-plain=shown")
        assert watchdog.said("[in] authorization=***")
        assert watchdog.said("[out] X-Duration-Seconds=")
        assert not any("s3cr3t" in line for line in watchdog.log)
