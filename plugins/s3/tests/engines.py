"""What every engine on S3's protocol must do beyond the contract; each plugin's tests inherit it for its engines."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import threading

import pytest

from faas_supervisor.errors import (
    AuthenticationFailed,
    Cancelled,
    IntegrityError,
    InvalidConfiguration,
    InvalidPath,
    NotFound,
    PermissionDenied,
    StorageError,
    Throttled,
    Unavailable,
)
from faas_supervisor.storage import ObjectRef
from faas_supervisor.testing import Response, ScriptedServer, faults
from plugins.s3.tests.support import NotingProxy, Progress, TlsFront, make_certificates
from tests.servers import s3_client

TRUST_VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")

MIB = 1024 * 1024
LARGE = 21 * MIB

LEAKS = {
    "AWS_ACCESS_KEY_ID": "another-key-id",
    "AWS_SECRET_ACCESS_KEY": "another-secret",
    "AWS_SESSION_TOKEN": "another-token",
    "AWS_SKIP_SIGNATURE": "true",
    "AWS_UNSIGNED_PAYLOAD": "true",
    "AWS_REQUEST_PAYER": "true",
    "AWS_S3_EXPRESS": "true",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
    "AWS_ALLOW_HTTP": "false",
    "AWS_TIMEOUT": "1ms",
    "AWS_SSE_KMS_KEY_ID": "another-kms-key",
    "AWS_CONDITIONAL_PUT": "nonsense",
    "AWS_COPY_IF_NOT_EXISTS": "nonsense",
    "AWS_REGION": "another-region-1",
    "AWS_DEFAULT_REGION": "another-region-1",
}


# obstore can't be kept from following these.
STUBBORN_LEAKS = {"AWS_CHECKSUM_ALGORITHM": "SHA256", "AWS_SERVER_SIDE_ENCRYPTION": "aws:kms"}


class EngineTests:
    """Needs `make(server, **settings)`, which returns a provider, and `made`, which closes those it makes."""

    @pytest.fixture
    def made(self):
        providers = []

        def make(*arguments, **settings):
            providers.append(self.make(*arguments, **settings))
            return providers[-1]

        yield make
        for provider in providers:
            provider.close()

    @pytest.fixture
    def bucket(self, seaweedfs, new_bucket):
        return new_bucket(seaweedfs)

    @pytest.fixture
    def provider(self, seaweedfs, made):
        return made(seaweedfs)

    @pytest.fixture
    def scripted(self, seaweedfs):
        with ScriptedServer(seaweedfs.url) as server:
            yield server

    @pytest.fixture
    def through(self, seaweedfs, scripted, made):
        """A provider that speaks to the server through `scripted`."""
        return made(seaweedfs, endpoint=scripted.url, read_timeout=5.0)

    @pytest.fixture
    def source(self, tmp_path):
        return tmp_path / "source"

    @pytest.fixture
    def destination(self, tmp_path):
        return tmp_path / "destination"

    # Uploads that end half-way

    @pytest.mark.parametrize(
        ("change", "size"),
        [("cancelled", MIB), ("cancelled", LARGE), ("grows", MIB), ("grows", LARGE), ("shrinks", LARGE)],
    )
    def test_an_upload_that_fails_leaves_nothing(self, *, seaweedfs, provider, bucket, source, size, change):
        source.write_bytes(bytes(size))

        def cancel():
            raise Cancelled

        def shrink():
            os.truncate(source, size // 2)

        def grow():
            with source.open("ab") as file:
                file.write(b"more")

        then = {"cancelled": cancel, "shrinks": shrink, "grows": grow}[change]
        error = Cancelled if change == "cancelled" else IntegrityError
        threads = set(threading.enumerate())
        with pytest.raises(error):
            provider.upload(source, f"{bucket}/object", Progress(after=size // 2, then=then))

        assert s3_client(seaweedfs).list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []
        assert set(threading.enumerate()) <= threads
        if change != "grows":  # by then a whole object may be there, which the core removes
            assert list(provider.list(bucket)) == []

    def test_a_refused_part_leaves_no_multipart_upload(self, seaweedfs, scripted, through, bucket, source):
        source.write_bytes(bytes(LARGE))
        scripted.fail_next("PUT", faults.status(403), path="partNumber=2")
        with pytest.raises(PermissionDenied):
            through.upload(source, f"{bucket}/object", Progress())
        assert s3_client(seaweedfs).list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []

    @pytest.mark.parametrize("size", [100, LARGE], ids=["one request", "parts"])
    def test_what_the_server_holds_is_compared(self, *, scripted, through, bucket, source, size):
        source.write_bytes(bytes(size))
        scripted.fail_next("HEAD", lambda exchange: exchange.send(_head(size - 1)), times=None)
        if size < LARGE:
            scripted.fail_next("PUT", _changed_etag, times=None)
        with pytest.raises(IntegrityError, match=f"holds {size - 1} bytes of {size}"):
            through.upload(source, f"{bucket}/object", Progress())

    # Pins

    def test_an_old_version_can_be_had(self, seaweedfs, provider, bucket, destination):
        client = s3_client(seaweedfs)
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        old = client.put_object(Bucket=bucket, Key="object", Body=b"old")["VersionId"]
        client.put_object(Bucket=bucket, Key="object", Body=b"new")

        provider.download(ObjectRef(f"{bucket}/object", version=old), destination, Progress())
        assert destination.read_bytes() == b"old"

        client.delete_object(Bucket=bucket, Key="object", VersionId=old)
        with pytest.raises(NotFound, match=f"version {old} of the object, of which the event spoke"):
            provider.download(ObjectRef(f"{bucket}/object", version=old), destination, Progress())

    def test_a_changed_object_is_said_to_have_changed(self, seaweedfs, provider, bucket, destination):
        s3_client(seaweedfs).put_object(Bucket=bucket, Key="object", Body=b"new")
        with pytest.raises(NotFound, match="has changed since the event"):
            provider.download(ObjectRef(f"{bucket}/object", etag="0" * 32), destination, Progress())
        assert not destination.exists()

    # Bytes as they are

    def test_a_compressed_object_stays_compressed(self, seaweedfs, provider, bucket, destination):
        body = gzip.compress(b"content" * 100)
        s3_client(seaweedfs).put_object(Bucket=bucket, Key="object", Body=body, ContentEncoding="gzip")
        info = provider.download(ObjectRef(f"{bucket}/object"), destination, Progress())
        assert destination.read_bytes() == body
        assert info.size == len(body)

    def test_a_small_download_is_one_request(self, seaweedfs, scripted, through, bucket, destination):
        s3_client(seaweedfs).put_object(Bucket=bucket, Key="object", Body=b"content")
        through.download(ObjectRef(f"{bucket}/object"), destination, Progress())
        assert [request.method for request in scripted.requests] == ["GET"]

    def test_no_checksum_is_sent_that_a_store_may_refuse(self, scripted, through, bucket, source):
        source.write_bytes(b"content")
        through.upload(source, f"{bucket}/object", Progress())
        (put,) = (request for request in scripted.requests if request.method == "PUT")
        assert not [name for name in put.headers if "checksum" in name.lower() or name.lower() == "x-amz-trailer"]
        assert "chunked" not in put.headers.get("Content-Encoding", "")
        assert len(put.headers["x-amz-content-sha256"]) == 64  # the server checks the body by it

    def test_the_server_can_check_the_bytes_under_tls_too(self, *, seaweedfs, scripted, made, bucket, source, tmp_path):
        authority, certificate = make_certificates(tmp_path)
        source.write_bytes(b"content")
        with TlsFront(scripted.url, certificate) as tls:
            made(seaweedfs, endpoint=tls.url, ca_bundle=str(authority)).upload(source, f"{bucket}/object", Progress())
        (put,) = (request for request in scripted.requests if request.method == "PUT")
        assert len(put.headers["x-amz-content-sha256"]) == 64 or put.headers["Content-MD5"]

    # What the errors say

    @pytest.mark.parametrize(
        ("status", "code", "error", "words"),
        [
            (403, "RequestTimeTooSkewed", AuthenticationFailed, "clock"),
            (403, "SignatureDoesNotMatch", AuthenticationFailed, "secret_key"),
            (403, "InvalidAccessKeyId", AuthenticationFailed, "access_key"),
            (400, "ExpiredToken", AuthenticationFailed, "renew"),
            (400, "AuthorizationHeaderMalformed", InvalidConfiguration, "region"),
            (400, "KeyTooLongError", InvalidPath, "1,024"),
            (503, "SlowDown", Throttled, "SlowDown"),
            (500, "InternalError", Unavailable, "InternalError"),
        ],
    )
    def test_an_answer_is_told_shortly_and_with_advice(
        self, *, scripted, through, bucket, destination, status, code, error, words
    ):
        text = f"<Error><Code>{code}</Code><Message>Some words.</Message><Resource>/x</Resource></Error>"
        scripted.fail_next("GET", faults.status(status, {"Content-Type": "application/xml"}, text.encode()), times=None)
        with pytest.raises(error) as raised:
            through.download(ObjectRef(f"{bucket}/object"), destination, Progress())
        _require_readable(raised.value, scripted.url)
        assert words in str(raised.value)
        assert len(scripted.requests) == 1

    def test_what_a_server_repeats_is_masked_and_on_one_line(self, seaweedfs, scripted, through, bucket, destination):
        text = f"<Error><Code>Odd</Code><Message>You said\n{seaweedfs.secret_key}</Message></Error>"
        scripted.fail_next("GET", faults.status(400, {"Content-Type": "application/xml"}, text.encode()), times=None)
        with pytest.raises(StorageError, match=r"You said \*\*\*"):
            through.download(ObjectRef(f"{bucket}/object"), destination, Progress())

    @pytest.mark.parametrize("status", [413, 409, 502])
    def test_an_answer_that_is_no_xml_is_told_by_its_status(self, scripted, through, bucket, source, status):
        source.write_bytes(b"content")
        page = b"<html><title>A proxy's page</title></html>"
        scripted.fail_next("PUT", faults.status(status, {"Content-Type": "text/html"}, page), times=None)
        with pytest.raises(StorageError, match=str(status)) as raised:
            through.upload(source, f"{bucket}/object", Progress())
        assert raised.value.retryable is (status == 502)
        _require_readable(raised.value, scripted.url)

    @pytest.mark.parametrize("status", [409, 400])
    def test_a_refused_head_is_an_error_like_others(self, scripted, through, bucket, status):
        scripted.fail_next("*", faults.status(status), times=None)
        with pytest.raises(StorageError) as raised:
            through.stat(f"{bucket}/object")
        _require_readable(raised.value, scripted.url)

    @pytest.mark.parametrize("operation", ["stat", "download"])
    def test_a_missing_bucket_is_named(self, provider, destination, operation):
        source = ObjectRef("no-such-bucket/object")
        attempts = {
            "stat": lambda: provider.stat(source.path),
            "download": lambda: provider.download(source, destination, Progress()),
        }
        with pytest.raises(NotFound, match="there is no bucket 'no-such-bucket'"):
            attempts[operation]()

    def test_a_wrong_secret_is_named_by_stat_too(self, seaweedfs, made, bucket):
        with pytest.raises(AuthenticationFailed, match="secret_key"):
            made(seaweedfs.stranger).stat(f"{bucket}/object")

    def test_no_connection_is_told_apart(self, seaweedfs, made, tmp_path, monkeypatch):
        for name in TRUST_VARIABLES:
            monkeypatch.delenv(name, raising=False)
        _, certificate = make_certificates(tmp_path)
        with socket.create_server(("127.0.0.1", 0)) as closed:
            nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with TlsFront(seaweedfs.url, certificate) as tls:
            cases = {
                nobody: (Unavailable, "connection refused"),
                "http://no-such-host.invalid:9000": (Unavailable, "does not resolve"),
                tls.url: (InvalidConfiguration, "ca_bundle"),
                seaweedfs.url.replace("http:", "https:"): (InvalidConfiguration, "does not speak TLS"),
            }
            for endpoint, (error, words) in cases.items():
                with pytest.raises(error, match=words) as raised:
                    made(seaweedfs, endpoint=endpoint).stat("bucket/object")
                _require_readable(raised.value, endpoint)

    # Connections

    @pytest.mark.parametrize("trust", ["ca_bundle", *TRUST_VARIABLES, "verify"])
    def test_a_private_authority_can_be_trusted(self, *, seaweedfs, made, bucket, tmp_path, monkeypatch, trust):
        for name in TRUST_VARIABLES:
            monkeypatch.delenv(name, raising=False)
        authority, certificate = make_certificates(tmp_path)
        settings = {"ca_bundle": str(authority)} if trust == "ca_bundle" else {}
        if trust == "verify":
            settings = {"verify": False}
        if trust == "SSL_CERT_DIR":
            folder = tmp_path / "hashed"
            folder.mkdir()
            (folder / "authority.pem").write_bytes(authority.read_bytes())
            subprocess.run(["openssl", "rehash", str(folder)], check=True, timeout=60)
            monkeypatch.setenv(trust, str(folder))
        elif trust.isupper():
            monkeypatch.setenv(trust, str(authority))
        with TlsFront(seaweedfs.url, certificate) as tls:
            provider = made(seaweedfs, endpoint=tls.url, **settings)
            s3_client(seaweedfs).put_object(Bucket=bucket, Key="object", Body=b"content")
            assert provider.stat(f"{bucket}/object").size == 7
            assert [info.path for info in provider.list(bucket)] == [f"{bucket}/object"]

    def test_an_image_without_certificates_will_do(self, seaweedfs, made, bucket, monkeypatch):
        monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent/file")
        monkeypatch.setenv("SSL_CERT_DIR", "/nonexistent/folder")
        s3_client(seaweedfs).put_object(Bucket=bucket, Key="object", Body=b"content")
        assert made(seaweedfs).stat(f"{bucket}/object").size == 7
        with pytest.raises(InvalidConfiguration, match="does not speak TLS"):  # a client could be made
            made(seaweedfs, endpoint=seaweedfs.url.replace("http:", "https:")).stat(f"{bucket}/object")

    def test_a_ca_bundle_that_can_not_be_read_is_a_fault_of_the_configuration(self, seaweedfs, made):
        provider = made(seaweedfs, endpoint="https://127.0.0.1:1", ca_bundle="/nonexistent/file")
        with pytest.raises(InvalidConfiguration, match="/nonexistent/file"):
            provider.stat("bucket/object")

    def test_a_proxy_is_used_for_others_but_not_for_this_machine(self, seaweedfs, made, bucket, monkeypatch):
        with NotingProxy() as proxy:
            monkeypatch.setenv("http_proxy", proxy.url)
            s3_client(seaweedfs).put_object(Bucket=bucket, Key="object", Body=b"content")
            asked = len(proxy.asked)
            assert made(seaweedfs).stat(f"{bucket}/object").size == 7
            assert len(proxy.asked) == asked
            with pytest.raises(StorageError):
                made(seaweedfs, endpoint="http://store.invalid:9000").stat(f"{bucket}/object")
            assert proxy.asked[asked:]
            assert all("http://store.invalid:9000/" in request for request in proxy.asked[asked:])

    def test_a_callers_header_is_no_proxy(self, seaweedfs, made, monkeypatch):
        with NotingProxy() as proxy:
            monkeypatch.setenv("Http_Proxy", proxy.url)  # what a watchdog makes of a request's `Proxy:`
            with pytest.raises(Unavailable, match="does not resolve"):
                made(seaweedfs, endpoint="http://store.invalid:9000").stat("bucket/object")
            assert proxy.asked == []

    @pytest.mark.parametrize("leaks", [LEAKS, LEAKS | STUBBORN_LEAKS], ids=["usual", "stubborn"])
    def test_the_environment_changes_nothing(self, *, seaweedfs, scripted, made, bucket, source, monkeypatch, leaks):
        with NotingProxy() as elsewhere:
            for name, value in leaks.items():
                monkeypatch.setenv(name, value)
            for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_PROXY_URL"):
                monkeypatch.setenv(name, elsewhere.url)
            provider = made(seaweedfs, endpoint=scripted.url)
            source.write_bytes(b"content")
            assert provider.upload(source, f"{bucket}/object", Progress()).size == 7
            assert provider.stat(f"{bucket}/object").size == 7
            assert elsewhere.asked == []
        sent = "\n".join(str(request.headers) for request in scripted.requests)
        assert "another" not in sent
        assert "UNSIGNED-PAYLOAD" not in sent
        assert "x-amz-server-side" not in sent.lower()
        assert "x-amz-checksum" not in sent.lower()
        assert "x-amz-request-payer" not in sent.lower()
        assert sent.count(f"Credential={seaweedfs.access_key}/") == len(scripted.requests)

    def test_a_redirect_is_not_followed_with_credentials(self, scripted, through, bucket):
        with NotingProxy() as elsewhere:
            scripted.fail_next("*", faults.redirect(f"{elsewhere.url}/object"), times=None)
            with pytest.raises(StorageError):
                list(through.list(bucket))
            assert len(scripted.requests) == 1
            assert elsewhere.asked == []

    def test_a_connection_that_is_cut_is_left_to_the_core(self, *, seaweedfs, scripted, through, bucket, destination):
        s3_client(seaweedfs).put_object(Bucket=bucket, Key="object", Body=b"content")
        scripted.fail_next("GET", faults.truncate(at=0.0), times=None)
        with pytest.raises(Unavailable):
            through.download(ObjectRef(f"{bucket}/object"), destination, Progress())
        assert len(scripted.requests) == 1

    def test_many_threads_find_connections_enough(self, scripted, through, bucket, caplog):
        scripted.fail_next("HEAD", faults.slow_answer(0.5), times=None)
        missing = []

        def stat():
            try:
                through.stat(f"{bucket}/object")
            except NotFound as error:
                missing.append(error)

        threads = [threading.Thread(target=stat) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(missing) == 24
        assert "pool is full" not in caplog.text


def _head(size):
    headers = {"ETag": '"0"', "Content-Length": str(size), "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    return Response(200, headers)


def _changed_etag(exchange):
    """Do as asked, but tell an ETag that is not the MD5 of the content, as encrypting servers do."""
    response = exchange.proper()
    response.headers["ETag"] = '"00000000000000000000000000000000"'
    exchange.send(response)


def _require_readable(error, endpoint):
    text = str(error)
    assert error.endpoint == endpoint
    assert len(text) < 400
    assert "\n" not in text
    for noise in ("Debug", "RetryError", "Error performing", "botocore", "urllib3", "HTTPConnection", "request_id"):
        assert noise not in text
