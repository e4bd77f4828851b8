"""What is imported when: a transfer must not pay for what it does not use."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.servers import s3_client

HEAVY = ("boto3", "botocore", "s3transfer", "urllib3", "minio", "requests", "http", "email", "obstore")

TRANSFER = """
    provider = plugin.faas_supervisor_storage_providers()[0].factory(settings)
    class Quiet:
        def start(self, total): pass
        def advance(self, n): pass
    source, arrival = pathlib.Path(folder, "source"), pathlib.Path(folder, "arrival")
    source.write_bytes(b"content")
    provider.upload(source, f"{bucket}/object", Quiet())
    provider.download(storage.ObjectRef(f"{bucket}/object"), arrival, Quiet())
    provider.stat(f"{bucket}/object")
    provider.delete(f"{bucket}/object")
    provider.close()
    assert arrival.read_bytes() == b"content"
"""


def heavy_modules(code, environment=None):
    """Return which heavy modules a new interpreter has after running `code`."""
    lines = "\n".join(line.removeprefix("    ") for line in code.splitlines())
    report = f"print(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}} & {{*{HEAVY!r}}})))"
    script = f"{lines}\nimport json, sys\n{report}"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    return json.loads(result.stdout)


def settings(server):
    keys = f"access_key={server.access_key!r}, secret_key=storage.Secret({server.secret_key!r})"
    return f"settings = plugin.Settings({keys}, endpoint={server.url!r})"


def test_the_plugins_module_imports_no_sdk():
    code = "import faas_supervisor_s3\nfaas_supervisor_s3.faas_supervisor_storage_providers()[0]"
    assert heavy_modules(code) == []


@pytest.mark.parametrize("kind", ["settings", "environment"])
def test_a_transfer_with_known_keys_imports_no_sdk(seaweedfs, new_bucket, tmp_path, kind):
    bucket = new_bucket(seaweedfs)
    begin = [
        "import pathlib, faas_supervisor_s3 as plugin",
        "from faas_supervisor import storage",
        f"bucket, folder = {bucket!r}, {str(tmp_path)!r}",
    ]
    environment = None
    if kind == "settings":
        begin.append(settings(seaweedfs))
    else:
        begin.append(f"settings = plugin.Settings(endpoint={seaweedfs.url!r})")
        environment = {"AWS_ACCESS_KEY_ID": seaweedfs.access_key, "AWS_SECRET_ACCESS_KEY": seaweedfs.secret_key}
    assert heavy_modules("\n".join([*begin, TRANSFER]), environment) == ["obstore"]


def test_a_listing_is_the_sdks(seaweedfs, new_bucket):
    bucket = new_bucket(seaweedfs)
    s3_client(seaweedfs).put_object(Bucket=bucket, Key="object", Body=b"content")
    code = "\n".join(
        [
            "import faas_supervisor_s3 as plugin",
            "from faas_supervisor import storage",
            settings(seaweedfs),
            "provider = plugin.faas_supervisor_storage_providers()[0].factory(settings)",
            f"assert len(list(provider.list({bucket!r}))) == 1",
        ]
    )
    assert "boto3" in heavy_modules(code)
