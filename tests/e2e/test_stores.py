"""MinIO and S3 events on a real server, from the event to the uploaded output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.support import Bucket, delegated, encoded, fails, notification, record, succeeds

if TYPE_CHECKING:
    from tests.e2e.support import Service

SOURCES = {"minio": "minio:s3", "s3": "aws:s3"}


def connect(service: Service, bucket: Bucket, name: str, **settings: object) -> None:
    """Configure the provider `name` with everything that the bucket's server needs."""
    server = bucket.server
    keys = {"access_key": server.access_key, "secret_key": server.secret_key}
    service.provider(name, endpoint=server.url, region=server.region, **{**keys, **settings})


@pytest.fixture(params=SOURCES)
def kind(request) -> str:
    """Each of the two types of provider."""
    return request.param


@pytest.fixture
def connected(service, bucket, kind):
    """A function with that provider, one output, and its credentials in the configuration."""
    connect(service, bucket, f"{kind}.default")
    service.outputs(f"{kind}.default {bucket.name}/out")
    return service


def put(bucket, kind, key, data=b"hello\n"):
    return bucket.put(key, data, SOURCES[kind])


class TestCredentials:
    def test_they_may_stand_in_the_configuration(self, connected, bucket, kind):
        done = connected.job(notification(put(bucket, kind, "in/a.txt")))

        succeeds(done, connected)
        assert bucket.objects() == {"in/a.txt": b"hello\n", "out/a.txt": b"hello\n"}

    @pytest.mark.parametrize("names", [("accessKey", "secretKey"), ("access_key", "secret_key")], ids=lambda n: n[0])
    def test_they_may_be_mounted_and_then_win(self, connected, bucket, kind, names):
        connect(connected, bucket, f"{kind}.default", access_key="stale", secret_key="stale-secret")
        keys = (bucket.server.access_key, bucket.server.secret_key)
        connected.mount(f"{kind}.default", **dict(zip(names, keys, strict=True)))

        done = connected.job(notification(put(bucket, kind, "in/a.txt")))

        succeeds(done, connected)
        assert "out/a.txt" in bucket.objects()

    def test_mounted_ones_for_a_delegation_are_found_by_the_id_of_the_cluster(self, service, bucket):
        connect(service, bucket, "minio.cluster-2", access_key=None, secret_key=None)
        service.mount("minio.cluster-2", accessKey=bucket.server.access_key, secretKey=bucket.server.secret_key)
        service.outputs(f"minio.cluster-2 {bucket.name}/out")
        event = notification(bucket.put("in/a.txt"))

        succeeds(service.job(delegated(event, "minio.cluster-2")), service)
        succeeds(service.job(delegated(event, "cluster-2")), service)
        succeeds(service.job(delegated(delegated(event, "cluster-2"), "minio.default")), service)
        assert "out/a.txt" in bucket.objects()

    def test_missing_ones_are_said_so_with_where_to_put_them(self, service, bucket):
        connect(service, bucket, "minio.default", secret_key=None)

        done = service.job(notification(bucket.put("in/a.txt")))

        fails(
            done, service, 114, "credentials", "minio.default: secret_key is not set", "secretKey", str(service.secrets)
        )

    def test_a_wrong_secret_is_said_so_at_once(self, connected, bucket, kind):
        connect(connected, bucket, f"{kind}.default", secret_key=bucket.server.stranger.secret_key)

        done = connected.job(notification(put(bucket, kind, "in/a.txt")))

        fails(done, connected, 114, "credentials", "authentication failed", "stage in", bucket.server.url, "secret_key")
        assert done.warnings == []

    def test_an_unknown_access_key_is_said_so(self, connected, bucket, kind):
        connect(connected, bucket, f"{kind}.default", access_key="NOBODYACCESSKEY001")

        done = connected.job(notification(put(bucket, kind, "in/a.txt")))

        fails(done, connected, 114, "credentials", "authentication failed", "access_key")

    def test_a_forbidden_input_is_said_so(self, connected, bucket, kind):
        reader = bucket.server.reader
        connect(connected, bucket, f"{kind}.default", access_key=reader.access_key, secret_key=reader.secret_key)

        done = connected.job(notification(put(bucket, kind, "in/a.txt")))

        fails(done, connected, 114, "credentials", "permission denied", "stage in", f"{bucket.name}/in/a.txt")

    def test_a_forbidden_output_is_said_so(self, connected, bucket, kind):
        reader = bucket.server.reader
        connect(connected, bucket, f"{kind}.reader", access_key=reader.access_key, secret_key=reader.secret_key)
        connected.outputs(f"{kind}.reader {bucket.name}/out")

        done = connected.job(notification(put(bucket, kind, "in/a.txt")))

        fails(done, connected, 114, "credentials", "permission denied", "stage out", f"{bucket.name}/out/a.txt")
        assert bucket.objects().keys() == {"in/a.txt"}


KEYS = [
    "in/a+b.txt",
    "in/a b  c.txt",
    "in/naïve 中文 😀.txt",
    "in/a%2Fb.txt",
    "in/100%.txt",
    "in/#?&=;:@!$*'()[]{}<>|^`~\"",  # SeaweedFS takes a backslash for a slash
    "in/ a ",
    "in/a\nb",
    "a",
    "in/" + "/".join(letter * 200 for letter in "defg") + "/" + "h" * 217,  # 1,024 bytes
]

# SeaweedFS keeps keys as paths of a file system, so these are other keys there, and the SDK of MinIO refuses them.
UNHEARD_OF = ["in//a", "in/./a", "in/../x", "/a"]


class TestKeys:
    def test_any_key_comes_in_and_goes_out(self, connected, bucket, kind):
        connected.script = 'printf %s "$STORAGE_OBJECT_KEY" > "$TMP_OUTPUT_DIR/$(basename "$INPUT_FILE_PATH")"'
        event = notification(*(put(bucket, kind, key) for key in KEYS))

        done = connected.job(event)

        succeeds(done, connected)
        objects = bucket.objects()
        assert {key: objects[key].decode() for key in objects if key.startswith("out/")} == {
            f"out/{key.rpartition('/')[2]}": key for key in KEYS
        }

    @pytest.mark.parametrize("key", UNHEARD_OF)
    def test_a_key_that_the_server_reads_as_another_is_itself_or_refused(self, connected, bucket, kind, key):
        bucket.put("x", b"not this one")
        bucket.put("in/a", b"nor this one")
        event = notification(record(f"{bucket.name}/{key}", source=SOURCES[kind]))

        done = connected.job(event)

        assert b"not this one" not in done.stdout
        assert "Traceback" not in done.stderr
        assert (done.code, len(done.errors)) in {(0, 0), (112, 1), (115, 1), (116, 1)}, done.stderr

    @pytest.mark.parametrize(
        ("key", "text"),
        [("in/a\0b", "NUL"), ("in/" + "a/" * 600 + "n", "more than 1024 bytes"), ("in/..", "'..'")],
        ids=["NUL", "too long", "way up at the end"],
    )
    def test_a_key_that_no_file_or_object_can_have_is_refused(self, connected, bucket, kind, key, text):
        done = connected.job(notification(record(f"{bucket.name}/{key}", source=SOURCES[kind])))

        fails(done, connected, 112, "event", text)


class TestPins:
    """The object that the event spoke of, or none."""

    def test_an_object_that_was_overwritten_is_not_taken(self, connected, bucket, kind):
        event = notification(put(bucket, kind, "in/a.txt", b"the first"))
        put(bucket, kind, "in/a.txt", b"the other")

        done = connected.job(event)

        fails(
            done,
            connected,
            115,
            "input_missing",
            f"{kind}.default",
            f"{bucket.name}/in/a.txt",
            "changed since the event",
        )
        assert "out/a.txt" not in bucket.objects()

    def test_an_object_that_was_deleted_is_missing(self, connected, bucket, kind):
        event = notification(put(bucket, kind, "in/a.txt"))
        bucket.client.delete_object(Bucket=bucket.name, Key="in/a.txt")

        done = connected.job(event)

        fails(
            done,
            connected,
            115,
            "input_missing",
            f"{kind}.default {bucket.name}/in/a.txt",
            bucket.server.url,
            "stage in",
        )

    def test_a_bucket_that_is_not_there_is_named(self, connected, bucket, kind):
        done = connected.job(notification(record("no-such-bucket-0/in/a.txt", source=SOURCES[kind])))

        fails(done, connected, 115, "input_missing", "no bucket 'no-such-bucket-0'", "create the bucket")

    def test_the_very_version_of_the_event_is_taken(self, connected, bucket, kind):
        bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
        first = bucket.client.put_object(Bucket=bucket.name, Key="in/a.txt", Body=b"the first")
        put(bucket, kind, "in/a.txt", b"the other")
        event = record(f"{bucket.name}/in/a.txt", source=SOURCES[kind], versionId=first["VersionId"], size=9)

        done = connected.job(notification(event))

        succeeds(done, connected)
        assert bucket.objects()["out/a.txt"] == b"the first"

    def test_an_object_of_another_size_is_not_taken_where_the_event_has_no_etag(self, connected, bucket, kind):
        put(bucket, kind, "in/a.txt", b"longer than the event said")

        done = connected.job(notification(record(f"{bucket.name}/in/a.txt", source=SOURCES[kind], size=3)))

        fails(done, connected, 115, "input_missing", "changed since the event", "3 bytes")


class TestOutputs:
    def test_minio_and_s3_at_once_under_several_ids(self, service, bucket):
        for name in ("minio.default", "minio.second", "s3.default", "s3.third"):
            connect(service, bucket, name)
        service.outputs(*(f"{name} {bucket.name}/{name}" for name in service_names(service)))

        done = service.job(notification(bucket.put("in/a.txt", b"data")))

        succeeds(done, service)
        assert {key: data for key, data in bucket.objects().items() if key != "in/a.txt"} == {
            f"{name}/a.txt": b"data" for name in service_names(service)
        }
        assert {entry["provider"] for entry in done.result["outputs"]} == set(service_names(service))

    def test_names_that_break_clients_arrive_as_they_are(self, connected, bucket, kind):
        names = [" both ends ", "line\nfeed", "a#b?c%d", "a%2Fb", "naïve 中文 😀", "a+b", "'\"`", "sub/ä/x"]
        connected.script = "".join(
            f'name=$(printf %s {encoded(name + "x")} | base64 -d); name=${{name%x}}; f="$TMP_OUTPUT_DIR/$name"\n'
            'mkdir -p "$(dirname "$f")"; printf %s "$name" > "$f"\n'
            for name in names
        )

        done = connected.job(notification(put(bucket, kind, "in/a.txt")))

        succeeds(done, connected)
        objects = bucket.objects()
        assert {key: objects[key] for key in objects if key.startswith("out/")} == {
            f"out/{name}": name.encode() for name in names
        }

    def test_a_name_that_is_not_utf8_is_an_error_and_the_others_are_uploaded(self, connected, bucket, kind):
        connected.script = 'cd "$TMP_OUTPUT_DIR"; touch good "$(printf "caf\\351")" also-good'

        done = connected.job(notification(put(bucket, kind, "in/a.txt")))

        fails(done, connected, 119, "output", "caf\\udce9", "not valid UTF-8", f"{kind}.default", "stage out")
        assert bucket.objects().keys() == {"in/a.txt", "out/good", "out/also-good"}

    def test_a_bucket_that_is_not_there_is_an_output_error_that_names_it(self, connected, bucket, kind):
        connected.outputs(f"{kind}.default no-such-bucket-1/out")

        done = connected.job(notification(put(bucket, kind, "in/a.txt")))

        fails(done, connected, 119, "output", "no bucket 'no-such-bucket-1'", "stage out")

    def test_the_result_comes_last(self, connected, bucket, kind):
        connected.config["result"] = {"storage_provider": f"{kind}.default", "path": f"{bucket.name}/results"}
        connected.script = 'for i in 1 2 3 4 5; do echo $i > "$TMP_OUTPUT_DIR/$i"; done'

        done = connected.job(notification(put(bucket, kind, "in/a.txt")))

        succeeds(done, connected)
        written = {entry["Key"]: entry["LastModified"] for entry in bucket.listing()}
        outputs = [time for key, time in written.items() if key.startswith("out/")]
        assert len(outputs) == 5
        assert written["results/a.txt.result.json"] >= max(outputs)
        result = json.loads(bucket.objects()["results/a.txt.result.json"])
        assert sorted(entry["path"] for entry in result["outputs"]) == [f"{bucket.name}/out/{i}" for i in range(1, 6)]

    def test_a_large_file_goes_in_and_out_whole(self, connected, bucket, kind):
        data = bytes(range(256)) * 80_000  # 20 MB: in parts on both ways

        done = connected.job(notification(put(bucket, kind, "in/large", data)))

        succeeds(done, connected)
        assert bucket.objects()["out/large"] == data
        assert bucket.unfinished() == []

    def test_isolation_leads_to_the_bucket_of_the_user(self, connected, bucket, kind):
        connected.config |= {"isolation_level": "USER", "bucket_list": [bucket.name]}
        connected.outputs(f"{kind}.default service-bucket/out")

        done = connected.job(notification(put(bucket, kind, "in/a.txt")))

        if kind == "minio":
            succeeds(done, connected)
            assert "out/a.txt" in bucket.objects()
        else:  # only MinIO's outputs are led elsewhere
            fails(done, connected, 119, "output", "service-bucket")


def service_names(service):
    return [f"{kind}.{id_}" for kind, ids in service.config["storage_providers"].items() for id_ in ids]


def test_several_records_have_a_run_each(connected, bucket, kind):
    records = [put(bucket, kind, f"in/{name}", name.encode()) for name in ("a", "b", "c")]
    bucket.client.delete_object(Bucket=bucket.name, Key="in/b")

    done = connected.job(notification(*records))

    assert done.code == 115
    assert [run["exit_code"] for run in done.result["runs"]] == [0, 115, 0]
    objects = bucket.objects()
    assert {key: objects[key] for key in objects if key.startswith("out/")} == {"out/a": b"a", "out/c": b"c"}


def test_the_sdk_does_what_the_fast_engine_does(connected, bucket, kind):
    connect(connected, bucket, f"{kind}.default", engine="sdk")

    done = connected.job(notification(put(bucket, kind, "in/a+b ü.txt", b"data")))

    succeeds(done, connected)
    assert bucket.objects()["out/a+b ü.txt"] == b"data"
