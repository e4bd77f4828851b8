"""Servers that are down, silent, or fail: tried again for a while, then given up, and nothing half-written."""

from __future__ import annotations

import socket

import pytest

from faas_supervisor.testing import FaultProxy, ScriptedServer, Toxics, faults
from tests.e2e.support import fails, notification, succeeds

PART = 8 * 1024 * 1024

# Each library that moves bytes; minio's own is put to the same tests by its plugin.
ENGINES = {"obstore": ("minio.default", "obstore"), "boto3": ("s3.default", "sdk")}


@pytest.fixture(params=ENGINES)
def provider(request, service):
    """The name of a provider, whose server each test chooses; retries end soon."""
    name, _ = ENGINES[request.param]
    service.environment["FAAS_SUPERVISOR_TRANSFER_DEADLINE"] = "500ms"
    return name


@pytest.fixture
def server(bucket):
    """The real server behind one that fails on demand."""
    with ScriptedServer(bucket.server.url) as scripted:
        yield scripted


@pytest.fixture
def connect(service, bucket, provider):
    """A function that lets inputs, outputs or both go through `url`, and the others straight to the server."""

    def connect(url, *, inputs=True, outputs=True):
        kind = provider.partition(".")[0]
        engine = dict(ENGINES.values())[provider]
        keys = {"access_key": bucket.server.access_key, "secret_key": bucket.server.secret_key}
        settings = {"region": "us-east-1", "engine": engine, "read_timeout": 0.5, **keys}
        for name, through in ((provider, inputs), (f"{kind}.results", outputs)):
            service.provider(name, endpoint=url if through else bucket.server.url, **settings)
        service.outputs(f"{kind}.results {bucket.name}/out")

    return connect


def event(bucket, provider, data=b"hello\n", key="in/a"):
    source = "minio:s3" if provider.startswith("minio") else "aws:s3"
    return notification(bucket.put(key, data, source))


def require_nothing_uploaded(bucket):
    assert bucket.objects().keys() == {"in/a"}
    assert bucket.unfinished() == []


class TestUnreachable:
    def test_a_server_that_is_down(self, service, bucket, provider, connect):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        connect(url)

        done = service.job(event(bucket, provider))

        fails(
            done,
            service,
            116,
            "storage_unavailable",
            provider,
            f"{bucket.name}/in/a",
            url,
            "stage in",
            "connection refused",
            "port",
        )

    def test_a_name_that_does_not_resolve(self, service, bucket, provider, connect):
        connect("http://no-such-host.invalid:9000")

        done = service.job(event(bucket, provider))

        fails(done, service, 116, "storage_unavailable", provider, "no-such-host.invalid", "does not resolve")

    def test_a_server_that_speaks_no_tls(self, service, bucket, provider, connect):
        connect(bucket.server.url.replace("http:", "https:"))

        done = service.job(event(bucket, provider))

        fails(done, service, 111, "configuration", provider, "does not speak TLS", "http://")


class TestErrors:
    """Answers that are errors."""

    def test_for_ever_on_the_way_in(self, service, server, bucket, provider, connect):
        sent = event(bucket, provider)
        server.fail_next("GET", faults.status(503), times=None)
        connect(server.url)

        done = service.job(sent)

        fails(
            done,
            service,
            116,
            "storage_unavailable",
            provider,
            f"{bucket.name}/in/a",
            server.url,
            "stage in",
            "503",
        )
        require_nothing_uploaded(bucket)

    def test_for_ever_on_the_way_out(self, service, server, bucket, provider, connect):
        sent = event(bucket, provider)
        server.fail_next("PUT", faults.status(500), times=None)
        connect(server.url)

        done = service.job(sent)

        fails(done, service, 116, "storage_unavailable", f"{bucket.name}/out/a", server.url, "stage out", "500")
        require_nothing_uploaded(bucket)

    def test_for_ever_amid_the_parts_of_an_upload(self, service, server, bucket, provider, connect):
        sent = event(bucket, provider, bytes(3 * PART))
        server.fail_next("PUT", faults.status(500), times=None, skip=1, path="partNumber")
        connect(server.url, inputs=False)

        done = service.job(sent)

        fails(done, service, 116, "storage_unavailable", f"{bucket.name}/out/a", "stage out")
        require_nothing_uploaded(bucket)

    def test_a_few_and_all_is_well(self, service, server, bucket, provider, connect):
        service.environment["FAAS_SUPERVISOR_TRANSFER_DEADLINE"] = "60"
        sent = event(bucket, provider)
        server.fail_next("GET", faults.status(500))
        server.fail_next("GET", faults.status(503, {"Retry-After": "1"}))
        server.fail_next("PUT", faults.status(503))
        connect(server.url)

        done = service.job(sent)

        succeeds(done, service)
        assert bucket.objects()["out/a"] == b"hello\n"
        assert done.result["inputs"][0]["attempts"] == 3
        assert done.result["outputs"][0]["attempts"] == 2
        assert len([line for line in done.warnings if "trying again in" in line]) == 3


class TestBrokenConnections:
    def test_a_download_that_is_always_cut(self, service, server, bucket, provider, connect):
        sent = event(bucket, provider, bytes(100_000))
        server.fail_next("GET", faults.truncate(0.5), times=None)
        connect(server.url)

        done = service.job(sent)

        fails(done, service, 116, "storage_unavailable", provider, f"{bucket.name}/in/a", server.url, "cut")
        require_nothing_uploaded(bucket)

    def test_a_download_that_is_cut_once(self, service, server, bucket, provider, connect):
        service.environment["FAAS_SUPERVISOR_TRANSFER_DEADLINE"] = "60"
        data = bytes(range(256)) * 400
        sent = event(bucket, provider, data)
        server.fail_next("GET", faults.truncate(0.5))
        connect(server.url)

        done = service.job(sent)

        succeeds(done, service)
        assert bucket.objects()["out/a"] == data

    def test_an_upload_that_is_always_cut(self, service, server, bucket, provider, connect):
        sent = event(bucket, provider, bytes(100_000))
        server.fail_next("PUT", faults.truncate(0.5), times=None)
        connect(server.url)

        done = service.job(sent)

        fails(done, service, 116, "storage_unavailable", f"{bucket.name}/out/a", server.url, "stage out")
        require_nothing_uploaded(bucket)

    def test_a_network_that_goes_amid_the_parts_of_an_upload_and_comes_back(self, service, bucket, provider, connect):
        service.environment["FAAS_SUPERVISOR_TRANSFER_DEADLINE"] = "60"
        data = bytes(range(256)) * (3 * PART // 256)
        sent = event(bucket, provider, data)
        with FaultProxy(bucket.server.url) as proxy:
            connect(proxy.url, inputs=False)
            proxy.up = Toxics(reset_peer=PART // 2)
            process = service.start([], service.job_environment())
            process.stdin.write(sent)
            process.stdin.close()
            for line in process.stderr:
                if b"trying again in" in line:
                    proxy.up = Toxics()
                    break
            rest = process.stderr.read()
            process.stdout.close()
            with process:
                assert process.wait(60) == 0, rest

        assert bucket.objects()["out/a"] == data
        assert bucket.unfinished() == []


class TestSilence:
    def test_a_download_that_stalls(self, service, server, bucket, provider, connect):
        sent = event(bucket, provider, bytes(100_000))
        server.fail_next("GET", faults.stall(0.5), times=None)
        connect(server.url)

        done = service.job(sent)

        fails(done, service, 116, "storage_unavailable", provider, f"{bucket.name}/in/a", server.url, "silent")
        require_nothing_uploaded(bucket)

    def test_a_download_that_stalls_once(self, service, server, bucket, provider, connect):
        service.environment["FAAS_SUPERVISOR_TRANSFER_DEADLINE"] = "60"
        sent = event(bucket, provider, bytes(100_000))
        server.fail_next("GET", faults.stall(0.5))
        connect(server.url)

        succeeds(service.job(sent), service)

    def test_an_upload_that_is_never_answered(self, service, server, bucket, provider, connect):
        sent = event(bucket, provider)
        server.fail_next("PUT", faults.stall(1.0), times=None)
        connect(server.url)

        done = service.job(sent)

        fails(done, service, 116, "storage_unavailable", f"{bucket.name}/out/a", server.url, "stage out")


def test_a_dead_store_is_given_up_once_for_many_files(service, server, bucket, provider, connect):
    sent = event(bucket, provider)
    server.fail_next("PUT", faults.status(500), times=None)
    connect(server.url)
    service.script = 'for i in $(seq 60); do touch "$TMP_OUTPUT_DIR/$i"; done'

    done = service.job(sent)

    assert (done.code, done.result["failure"]) == (116, "storage_unavailable")
    require_nothing_uploaded(bucket)
