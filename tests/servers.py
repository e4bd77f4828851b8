"""Real S3 servers for the whole test-suite: SeaweedFS, which checks signatures and rights, and moto, which is quick."""

from __future__ import annotations

import functools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READ_ONLY_BUCKET = "readers-bucket"
"""The one bucket in which `reader` may do anything, namely read and list."""

_START_TIME = 60.0
_TRIES = 3


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server and the credentials of one user on it."""

    url: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    @property
    def reader(self) -> S3Server:
        """The same server as a user who may read and list `READ_ONLY_BUCKET`, and nothing else (SeaweedFS only)."""
        return replace(self, access_key=_READER.access_key, secret_key=_READER.secret_key)

    @property
    def stranger(self) -> S3Server:
        """The same server as a user whom it knows, with a wrong secret (SeaweedFS only)."""
        return replace(self, secret_key="wrong-secret-0123456789")


_OWNER = S3Server("", "OWNERACCESSKEY0001", "owner/secret+key=0001-abcdefgh")
_EVERYTHING = ["Admin", "Read", "Write", "List", "Tagging"]
_READER = S3Server("", "READERACCESSKEY0001", "reader/secret+key=0001-abcdefgh")


@functools.lru_cache(maxsize=16)
def s3_client(server: S3Server) -> Any:
    """Return a plain boto3 client, for setting up and for looking from another side than the provider's."""
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 3}),
    )


class Users:
    """Users of a running SeaweedFS that come and go."""

    def __init__(self, server: S3Server, config: Path, process: subprocess.Popen[bytes]) -> None:
        self._server, self._config, self._process = server, config, process
        self._users: dict[S3Server, bool] = {}

    def admit(self) -> S3Server:
        """Return the server as a new user, who may do everything."""
        name = uuid.uuid4().hex.upper()
        user = replace(self._server, access_key=f"GUEST{name[:16]}", secret_key=f"guest/secret+key={name}")
        self._set(user, known=True)
        return user

    def revoke(self, user: S3Server) -> None:
        """Have the server refuse a user from now on."""
        self._set(user, known=False)

    def revoke_all(self) -> None:
        """Have it refuse all of them."""
        for user in [user for user, known in self._users.items() if known]:
            self.revoke(user)

    def _set(self, user: S3Server, *, known: bool) -> None:
        self._users[user] = known
        # One that is only left out stays known.
        guests = [{**_identity(user, _EVERYTHING), "disabled": not known} for user, known in self._users.items()]
        self._config.write_text(json.dumps({"identities": [*_identities(), *guests]}))
        self._process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + _START_TIME
        while _knows(user) is not known:
            assert time.monotonic() < deadline, "SeaweedFS does not take notice of its users"
            time.sleep(0.02)


def _knows(user: S3Server) -> bool:
    from botocore.exceptions import ClientError

    try:
        s3_client(user).list_buckets()
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidAccessKeyId":
            raise
        return False
    return True


@pytest.fixture
def seaweedfs_users(_seaweedfs: tuple[S3Server, Users]) -> Iterator[Users]:
    """Users of SeaweedFS for one test."""
    _, users = _seaweedfs
    yield users
    users.revoke_all()


@pytest.fixture(scope="session")
def seaweedfs(_seaweedfs: tuple[S3Server, Users]) -> S3Server:
    """SeaweedFS: a real object store with signatures, rights, versions and checksums. One for the session."""
    return _seaweedfs[0]


@pytest.fixture(scope="session")
def _seaweedfs() -> Iterator[tuple[S3Server, Users]]:
    with running_seaweedfs() as found:
        yield found


@contextmanager
def running_seaweedfs() -> Iterator[tuple[S3Server, Users]]:
    """Run SeaweedFS; for those who need it outside a test, too."""
    for attempt in range(_TRIES):
        folder = Path(tempfile.mkdtemp(prefix="seaweedfs-"))
        ports = _free_ports(4)
        process = _start_weed(folder, ports)
        try:
            server = replace(_OWNER, url=f"http://127.0.0.1:{ports[0]}")
            if _answers(server.url, process):
                s3_client(server).create_bucket(Bucket=READ_ONLY_BUCKET)
                yield server, Users(server, folder / "s3.json", process)
                return
            log = (folder / "weed.log").read_text(errors="replace")[-2000:]
            print(f"SeaweedFS did not start, attempt {attempt + 1} of {_TRIES}:\n{log}", file=sys.stderr)  # noqa: T201
        finally:
            process.kill()  # SIGTERM takes SeaweedFS more than 20 seconds
            process.wait(timeout=30)
            shutil.rmtree(folder, ignore_errors=True)
            for port in ports:  # no option moves these sockets elsewhere
                for left in Path("/tmp").glob(f"seaweedfs-*-grpc-{port + 10_000}.sock"):
                    left.unlink()
    pytest.fail("SeaweedFS did not start")


@pytest.fixture(scope="session")
def _moto() -> Iterator[S3Server]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield S3Server(f"http://{host}:{port}", "motoaccesskey01", "motosecretkey01")
    server.stop()


@pytest.fixture
def moto_server(_moto: S3Server) -> S3Server:
    """moto: the shape of S3 without any check of credentials. Empty at the start of each test."""
    request = urllib.request.Request(f"{_moto.url}/moto-api/reset", method="POST")
    urllib.request.urlopen(request, timeout=10).close()
    return _moto


@pytest.fixture
def new_bucket() -> Iterator[Callable[[S3Server], str]]:
    """A function that makes an empty bucket on a server and returns its name; removed after the test."""
    made: list[tuple[S3Server, str]] = []

    def make(server: S3Server) -> str:
        name = f"test-{uuid.uuid4().hex[:16]}"
        s3_client(server).create_bucket(Bucket=name)
        made.append((server, name))
        return name

    yield make
    for server, name in made:
        _remove_bucket(s3_client(server), name)


def _remove_bucket(client: Any, name: str) -> None:
    for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
        for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            client.delete_object(Bucket=name, Key=entry["Key"], VersionId=entry["VersionId"])
    client.delete_bucket(Bucket=name)


def _start_weed(folder: Path, ports: list[int]) -> subprocess.Popen[bytes]:
    s3, master, volume, filer = ports
    (folder / "s3.json").write_text(json.dumps({"identities": _identities()}))
    # By default every bucket reserves seven volumes at once; the server then is full after a few tests.
    (folder / "master.toml").write_text("[master.volume_growth]\ncopy_1 = 1\n")
    command = [
        # A pytest that is killed takes its server with it.
        *(["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []),
        Path(sys.executable).parent / "weed",
        "server",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-dir={folder}",
        f"-master.port={master}",
        "-master.volumeSizeLimitMB=64",
        "-master.telemetry=false",
        f"-volume.port={volume}",
        "-volume.max=400",
        "-filer",
        f"-filer.port={filer}",
        f"-filer.localSocket={folder}/filer.sock",
        "-s3",
        f"-s3.port={s3}",
        f"-s3.localSocket={folder}/s3.sock",
        f"-s3.config={folder}/s3.json",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]
    with (folder / "weed.log").open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder)},  # it leaves its logs there
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _identities() -> list[dict[str, object]]:
    rights = {_OWNER: _EVERYTHING, _READER: [f"Read:{READ_ONLY_BUCKET}", f"List:{READ_ONLY_BUCKET}"]}
    return [_identity(user, actions) for user, actions in rights.items()]


def _identity(user: S3Server, actions: list[str]) -> dict[str, object]:
    return {
        "name": user.access_key.lower(),
        "credentials": [{"accessKey": user.access_key, "secretKey": user.secret_key}],
        "actions": actions,
    }


def _free_ports(count: int) -> list[int]:
    """Return ports that are free, as are those 10,000 above them, where SeaweedFS listens for gRPC.

    All of them are below the range from which the kernel hands out ports to others meanwhile.
    """
    candidates = random.sample(range(11_000, 22_000), 200)
    free = [port for port in candidates if _is_free(port) and _is_free(port + 10_000)]
    return free[:count]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Whether the server refuses an unsigned request before long, as it does once it is ready."""
    deadline = time.monotonic() + _START_TIME
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError as refusal:
            refusal.close()
            if refusal.code == 403:
                return True
        except OSError:
            pass
        time.sleep(0.1)
    return False
