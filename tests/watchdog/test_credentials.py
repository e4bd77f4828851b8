"""Credentials that are rotated while a service runs: a real server, and a secret as Kubernetes mounts it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.servers import s3_client
from tests.watchdog.support import PATIENCE, eventually, started

CHANGED = "the configuration or a credential changed, and is read again"
RENEWED = "; the credentials are read again"

# With `?wait` it tells that it runs, and ends when somebody says so.
SCRIPT = """#!/bin/sh
if test "$Http_Query" = wait; then touch {folder}/running; read -r word < {folder}/go; fi
cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR"
echo done
"""


class Mount:
    """The files of a secret: links through `..data` to a folder, for which another one is put in one step."""

    def __init__(self, folder):
        self._folder = folder
        self._version = 0
        folder.mkdir(parents=True)

    def show(self, user):
        """Show the keys of a user."""
        self._version += 1
        version = self._folder / f"..version_{self._version}"
        version.mkdir()
        data, link = self._folder / "..data", self._folder / "..data_tmp"
        before = data.resolve() if data.exists() else None
        link.symlink_to(version.name)
        for name, value in (("accessKey", user.access_key), ("secretKey", user.secret_key)):
            (version / name).write_text(value)
            if before is None:
                (self._folder / name).symlink_to(f"..data/{name}")
        link.replace(data)
        if before is not None:
            shutil.rmtree(before)


class Serving:
    """A service that takes a file from a bucket and puts one back."""

    def __init__(self, watchdog, mount, event, folder):
        self.watchdog, self.mount, self._event = watchdog, mount, event
        self._running, self._go = (folder / name for name in ("running", "go"))
        os.mkfifo(self._go)

    def ask(self, query=""):
        """Put the event to it."""
        return self.watchdog.request("POST", f"/?{query}", self._event)

    def count(self, text):
        """How often the log has this."""
        return sum(text in line for line in self.watchdog.log)

    @contextmanager
    def asked(self):
        """Have a request under way whose file has come; it goes on when this is left, and its answer is added."""
        answers = []
        with ThreadPoolExecutor(1) as pool, self._go.open("r+b", buffering=0) as go:
            request = pool.submit(self.ask, "wait")
            try:
                eventually(self._running.exists, "the start of the script")
                yield answers
            finally:
                go.write(b"go\n")
            answers.append(request.result(PATIENCE))

    @contextmanager
    def flooded(self):
        """Ask again and again, several at a time; gives a list of the answers, which grows."""
        answers, enough = [], threading.Event()

        def flood():
            while not enough.is_set():
                answers.append(self.ask())

        with ThreadPoolExecutor(4) as pool:
            floods = [pool.submit(flood) for _ in range(4)]
            try:
                yield answers
            finally:
                enough.set()
            for one in floods:
                one.result(PATIENCE)


@pytest.fixture
def users(seaweedfs_users):
    """The old keys, the new ones, and what takes them back."""
    return seaweedfs_users.admit(), seaweedfs_users.admit(), seaweedfs_users.revoke


@pytest.fixture
def serving(tmp_path, seaweedfs, new_bucket, users):
    old, new, _ = users
    bucket = new_bucket(seaweedfs)
    s3_client(seaweedfs).put_object(Bucket=bucket, Key="in/a", Body=b"hello")
    record = {"eventSource": "minio:s3", "s3": {"bucket": {"name": bucket}, "object": {"key": "in%2Fa"}}}
    event = json.dumps({"EventName": "s3:ObjectCreated:Put", "Records": [record]}).encode()
    config = {
        "name": "function",
        "storage_providers": {"minio": {"default": {"endpoint": seaweedfs.url}}},
        "output": [{"storage_provider": "minio.default", "path": f"{bucket}/out"}],
    }
    mount = Mount(tmp_path / "secrets" / "minio.default")
    mount.show(old)
    given = {"FUNCTION_CONFIG": base64.b64encode(json.dumps(config).encode()).decode()}
    with started(tmp_path, in_process=True, script=SCRIPT.format(folder=tmp_path), **given) as watchdog:
        yield Serving(watchdog, mount, event, tmp_path)
    log = "\n".join(watchdog.log)
    assert not any(secret in log for user in (old, new) for secret in (user.access_key, user.secret_key))


def test_no_request_fails_when_the_secret_is_changed_and_the_old_keys_are_revoked_then(serving, users):
    old, new, revoke = users
    with serving.flooded() as answers:
        eventually(lambda: len(answers) >= 10, "the first answers")
        serving.mount.show(new)
        changed = len(answers)
        eventually(lambda: len(answers) >= changed + 10, "answers after the change")
        revoke(old)
        revoked = len(answers)
        eventually(lambda: len(answers) >= revoked + 20, "answers after the revocation")
    assert {(answer.status, answer.body) for answer in answers} == {(200, b"done\n")}
    assert serving.count(CHANGED) >= 1  # two for who looks while the links are swapped


def test_a_request_under_way_whose_keys_were_revoked_reads_the_new_ones_once(serving, users):
    old, new, revoke = users
    with serving.asked() as answers:
        revoke(old)
        serving.mount.show(new)
    assert [(answer.status, answer.body) for answer in answers] == [(200, b"done\n")]
    assert serving.count(RENEWED) == 1
    assert serving.ask().status == 200
    assert (serving.count(RENEWED), serving.count(CHANGED)) == (1, 1)


def test_while_there_are_no_new_ones_requests_fail_and_the_first_one_with_them_succeeds(serving, users):
    old, new, revoke = users
    with serving.asked() as answers:
        revoke(old)
    for answer in [*answers, serving.ask()]:
        assert answer.status == 500
        assert answer.body.startswith(b"exit status 114\n")
    assert serving.count(RENEWED) == 1
    serving.mount.show(new)
    assert serving.ask().status == 200
