"""The kit image is one that other people's programs understand, and that delivers the folder."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import tarfile

import pytest
from errors import BuildError
from kit import make_kit

from tests.containers import Mount
from tests.packaging.test_archives import shape
from tests.programs import need

VERSION = "2.0.0a1"


@pytest.fixture(scope="module")
def image(folder, tmp_path_factory):
    """The OCI layout, unpacked."""
    need("busybox")
    place = tmp_path_factory.mktemp("kit")
    make_kit(folder, place / "kit.tar", VERSION, 0)
    with tarfile.open(place / "kit.tar") as archive:
        archive.extractall(place / "layout", filter="data")
    return place / "layout"


@pytest.fixture(scope="module")
def root(image, tmp_path_factory):
    """The root file system that the layers make, as a runtime would unpack it."""
    made = tmp_path_factory.mktemp("root")
    for folder in ("dev", "proc", "sys", "tmp", "data"):
        (made / folder).mkdir()
    for layer in manifest(image)["layers"]:
        with tarfile.open(blob(image, layer)) as archive:
            archive.extractall(made, filter="tar")
    return made


def blob(image, descriptor):
    return image / "blobs" / descriptor["digest"].replace(":", "/")


def manifest(image):
    (described,) = json.loads((image / "index.json").read_text())["manifests"]
    return json.loads(blob(image, described).read_text())


def test_every_blob_is_what_its_name_and_its_descriptor_say(image):
    assert json.loads((image / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((image / "index.json").read_text())
    described = [*index["manifests"], manifest(image)["config"], *manifest(image)["layers"]]
    for descriptor in described:
        content = blob(image, descriptor).read_bytes()
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == descriptor["digest"]
        assert len(content) == descriptor["size"]
    blobs = {path.name for path in (image / "blobs" / "sha256").iterdir()}
    assert blobs == {descriptor["digest"].removeprefix("sha256:") for descriptor in described}


def test_the_configuration_names_the_layers_as_they_are_unpacked(image):
    config = json.loads(blob(image, manifest(image)["config"]).read_text())
    digests = [
        f"sha256:{hashlib.sha256(gzip.decompress(blob(image, layer).read_bytes())).hexdigest()}"
        for layer in manifest(image)["layers"]
    ]
    assert config["rootfs"] == {"type": "layers", "diff_ids": digests}
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert len(config["history"]) == len(digests)


def test_docker_load_finds_the_same(image):
    (listed,) = json.loads((image / "manifest.json").read_text())
    assert listed["RepoTags"] == [f"faas-supervisor-kit:{VERSION}"]
    assert [image / listed["Config"]] == [blob(image, manifest(image)["config"])]
    assert [image / name for name in listed["Layers"]] == [blob(image, layer) for layer in manifest(image)["layers"]]


def test_the_folder_is_in_it_as_it_is(root, folder):
    assert shape(root / "supervisor") == shape(folder)


def test_a_container_of_it_copies_the_folder_to_a_volume(root, folder, containers, tmp_path):
    volume = tmp_path / "data"
    volume.mkdir()
    ended = containers.run(
        ["/bin/sh", "-c", "umask 022; cp -r /supervisor/* /data && exec /data/supervisor x"],
        root=root, user=0, mounts=[Mount("/data", volume, writable=True)],
    )  # fmt: skip
    assert (ended.code, ended.stdout) == (7, b"supervisor x in /data\n"), ended.log
    assert shape(volume) == shape(folder)


def test_skopeo_understands_it(folder, tmp_path):
    need("skopeo")
    make_kit(folder, tmp_path / "kit.tar", VERSION, 0)
    command = ["skopeo", "inspect", "--raw", f"oci-archive:{tmp_path}/kit.tar:{VERSION}"]
    subprocess.run(command, check=True, timeout=60)


def test_licence_and_source_of_busybox_are_named(root):
    assert "GPL" in (root / "usr/share/doc/busybox/copyright").read_text()
    assert "busybox-static" in (root / "usr/share/doc/busybox/source").read_text()


def test_without_busybox_it_says_what_to_install(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="apt-get install busybox-static"):
        make_kit(folder, tmp_path / "kit.tar", VERSION, 0)
    assert not (tmp_path / "kit.tar").exists()


def test_the_same_folder_gives_the_same_image(folder, tmp_path):
    need("busybox")
    for name in ("a", "b"):
        make_kit(folder, tmp_path / name, VERSION, 0)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
