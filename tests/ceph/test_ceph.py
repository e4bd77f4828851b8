"""Ceph's object gateway, the real one: its notifications, and both engines of the `s3` provider on it.

`make test-ceph` installs nothing: it needs Debian's ceph-mon, ceph-osd, radosgw, ceph-common and curl.
"""

from __future__ import annotations

import http.server
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import boto3
import pytest

from faas_supervisor.errors import NotFound
from faas_supervisor.events import decode
from faas_supervisor.storage import ObjectRef
from tests.servers import S3Server, _free_ports, s3_client

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "monmaptool", "curl")
SUPERVISOR = Path(sys.executable).parent / "supervisor"


@pytest.fixture(scope="module")
def ceph():
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs the programs {', '.join(missing)} of Debian's Ceph packages")
    folder = Path(tempfile.mkdtemp(prefix="ceph-"))
    gateway, monitor = _free_ports(1)[0], 26000 + os.getpid() % 4000
    server = S3Server(f"http://127.0.0.1:{gateway}", "CEPHACCESSKEY0001", "ceph/secret+key=0001-abcdefgh", "default")
    try:
        script = Path(__file__).with_name("cluster.sh")
        command = [str(script), str(folder), str(gateway), str(monitor), server.access_key, server.secret_key]
        subprocess.run(command, check=True, timeout=180)
        yield server
    finally:
        for pid in reversed((folder / "pids").read_text().split()):
            os.kill(int(pid), signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def notifications(ceph):
    """A bucket whose uploads below `in/` are told to us: its client, its name and the queue of what is told."""
    bodies = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.put(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=hook.serve_forever)
    thread.start()
    client = s3_client(ceph)
    sns = boto3.client(
        "sns",
        endpoint_url=ceph.url,
        region_name=ceph.region,
        aws_access_key_id=ceph.access_key,
        aws_secret_access_key=ceph.secret_key,
    )
    address = f"http://127.0.0.1:{hook.server_port}/"
    topic = sns.create_topic(Name="uploads", Attributes={"push-endpoint": address})["TopicArn"]
    client.create_bucket(Bucket="notified")
    rule = {"Id": "in", "TopicArn": topic, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
    rule["Filter"] = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}}
    client.put_bucket_notification_configuration(
        Bucket="notified", NotificationConfiguration={"TopicConfigurations": [rule]}
    )
    yield client, bodies
    hook.shutdown()
    thread.join()
    hook.server_close()


def test_its_notification_runs_a_function(ceph, notifications, tmp_path):
    client, bodies = notifications
    key = "in/a b+c%2F é.txt"
    client.put_object(Bucket="notified", Key=key, Body=b"seven b")
    event = bodies.get(timeout=30)
    assert [record.path for record in decode(event).records] == [f"notified/{key}"]

    (tmp_path / "function_config.yaml").write_text(f"""\
input: [{{storage_provider: s3.ceph, path: notified/in}}]
output: [{{storage_provider: s3.ceph, path: notified/out}}]
storage_providers:
  s3:
    ceph:
      endpoint: {ceph.url}
      region: {ceph.region}
      access_key: {ceph.access_key}
      secret_key: {ceph.secret_key}
""")
    (tmp_path / "script.sh").write_text('wc -c < "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/size"\n')
    command = [SUPERVISOR, "run", "--config", str(tmp_path / "function_config.yaml")]
    done = subprocess.run(command, input=event, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert client.get_object(Bucket="notified", Key="out/size")["Body"].read().strip() == b"7"


def test_a_removed_object_is_skipped(notifications):
    client, bodies = notifications
    client.put_object(Bucket="notified", Key="in/gone.txt", Body=b"x")
    bodies.get(timeout=30)
    client.delete_object(Bucket="notified", Key="in/gone.txt")
    event = decode(bodies.get(timeout=30))
    assert event.records == ()
    assert "gone.txt" in event.skipped


@pytest.mark.parametrize("engine", ["obstore", "sdk"])
def test_files_of_one_and_of_many_parts_come_back_as_they_went(ceph, engine, tmp_path):
    from faas_supervisor.storage import Secret
    from faas_supervisor.storage._meter import Meter
    from faas_supervisor_s3.provider import make_provider
    from faas_supervisor_s3.settings import Settings

    client = s3_client(ceph)
    bucket = f"engine-{engine}"
    client.create_bucket(Bucket=bucket)
    settings = Settings(
        access_key=ceph.access_key,
        secret_key=Secret(ceph.secret_key),
        endpoint=ceph.url,
        region=ceph.region,
        engine=engine,
    )
    provider = make_provider(settings)
    meter = Meter("test", threading.Event(), None, None)
    for size in (0, 10, 40 * 1024 * 1024 + 1):
        sent, back, path = tmp_path / "sent", tmp_path / "back", f"{bucket}/a b/{size}"
        sent.write_bytes(os.urandom(size))
        assert provider.upload(sent, path, meter).size == size
        assert provider.download(ObjectRef(path), back, meter).size == size
        assert back.read_bytes() == sent.read_bytes()
    with pytest.raises(NotFound):
        provider.download(ObjectRef(f"{bucket}/none"), tmp_path / "none", meter)
    assert json.dumps(sorted(info.size for info in provider.list(bucket))) == "[0, 10, 41943041]"
    provider.close()
