"""The Job of the documentation, run as it is written there, on a real store."""

from __future__ import annotations

import os

import yaml

from tests.containers import TMP, Mount
from tests.docs.manifests import of_kind
from tests.e2e.support import Bucket


def test_the_job_of_the_documentation_runs(containers, unfrozen, seaweedfs, new_bucket, tmp_path):
    job = of_kind("Job")["spec"]["template"]["spec"]
    function, data = job["containers"][0], of_kind("ConfigMap")["data"]
    bucket = Bucket(seaweedfs, new_bucket(seaweedfs))
    bucket.put("in/cat.png", b"a cat")
    config = yaml.safe_load(data["function_config.yaml"].replace("images/", f"{bucket.name}/"))
    config["storage_providers"]["minio"]["default"]["endpoint"] = seaweedfs.url
    oscar, secret = tmp_path / "oscar", tmp_path / "secret"
    for folder in (tmp_path, oscar, secret):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    (oscar / "function_config.yaml").write_text(yaml.safe_dump(config))
    (oscar / "script.sh").write_text(
        'tr a-z A-Z < "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/$(basename "$INPUT_FILE_PATH")"'
    )
    (secret / "accessKey").write_text(seaweedfs.access_key)
    (secret / "secretKey").write_text(seaweedfs.secret_key)
    termination = tmp_path / "termination"
    termination.touch()
    user = job["securityContext"]["runAsUser"]
    os.chown(termination, user, user)
    folders = {"config": oscar, "minio": secret}
    mounts = [
        Mount(mount["mountPath"], folders[mount["name"]])
        for mount in function["volumeMounts"]
        if mount["name"] in folders
    ]

    ended = containers.run(
        function["command"],
        user=user,
        memory=1024,
        environment={one["name"]: one["value"].replace('"images"', f'"{bucket.name}"') for one in function["env"]},
        mounts=[*unfrozen.mounts, *mounts, Mount(function["terminationMessagePath"], termination, writable=True)],
        tmp=TMP,
    )

    assert ended.code == 0, ended.log
    assert bucket.objects() == {"in/cat.png": b"a cat", "out/cat.png": b"A CAT"}
    assert b'"status": "succeeded"' in termination.read_bytes()
