"""The kit image: a shell, `cp`, and the frozen folder, for who delivers by an init container; no engine is needed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from archives import make_tar
from errors import BuildError

__all__ = ["make_kit"]

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_APPLETS: Final = ("sh", "cp", "ls", "mkdir", "chmod")
_OCI: Final = "application/vnd.oci.image"


def make_kit(folder: Path, destination: Path, version: str, epoch: int) -> None:
    """Write the image as one tar file: an OCI image layout, with the list that `docker load` reads beside it.

    Raises:
        BuildError: There is no static busybox.
    """
    layers = [_tools(epoch), make_tar(folder, epoch)]
    packed = [gzip.compress(layer, mtime=0) for layer in layers]
    created = datetime.fromtimestamp(epoch, UTC).isoformat().replace("+00:00", "Z")
    config = _json(
        {
            "created": created,
            "architecture": _ARCHITECTURES[platform.machine()],
            "os": "linux",
            "config": {"Env": ["PATH=/bin:/supervisor"], "Cmd": ["/bin/sh"], "Labels": _labels(version)},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(layer)}" for layer in layers]},
            "history": [
                {"created": created, "created_by": "busybox"},
                {"created": created, "created_by": f"faas-supervisor {version}"},
            ],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _descriptor("config.v1+json", config),
            "layers": [_descriptor("layer.v1.tar+gzip", layer) for layer in packed],
        }
    )
    described = {
        **_descriptor("manifest.v1+json", manifest),
        "annotations": {"org.opencontainers.image.ref.name": version},
    }
    index = {"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": [described]}
    docker = {
        "Config": _blob(config),
        "RepoTags": [f"faas-supervisor-kit:{version}"],
        "Layers": [_blob(layer) for layer in packed],
    }
    files = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json(index),
        "manifest.json": _json([docker]),
        **{_blob(blob): blob for blob in (config, manifest, *packed)},
    }
    destination.write_bytes(_tar(dict(sorted(files.items())), 0o644, epoch))


def _labels(version: str) -> dict[str, str]:
    return {
        "org.opencontainers.image.title": "faas-supervisor kit",
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": "Apache-2.0 AND GPL-2.0-only",
    }


def _tools(epoch: int) -> bytes:
    """Return the layer with busybox, its licence, and where its source is."""
    found = shutil.which("busybox")
    if found is None or _is_dynamic(found):
        raise BuildError("there is no static busybox; on Debian: apt-get install busybox-static")
    program = Path(found).read_bytes()
    show = ["dpkg-query", "--show", "--showformat=${Package} ${Version}", "busybox-static"]
    shown = subprocess.run(show, capture_output=True, text=True, check=False)
    if shown.returncode != 0:
        raise BuildError("busybox is not that of Debian's busybox-static, so its licence and source can't be named")
    licence = Path("/usr/share/doc/busybox-static/copyright").read_bytes()
    source = f"{shown.stdout}, from Debian; its source is the Debian source package busybox of that version\n".encode()
    texts = {"usr/share/doc/busybox/copyright": licence, "usr/share/doc/busybox/source": source}
    # The programs come first as one file with many names; a name more costs nothing.
    return _tar({"bin/sh": program, **texts}, 0o755, epoch, links={f"bin/{name}": "bin/sh" for name in _APPLETS[1:]})


def _is_dynamic(program: str) -> bool:
    headers = subprocess.run(["readelf", "--program-headers", program], capture_output=True, text=True, check=True)  # noqa: S607
    return "INTERP" in headers.stdout


def _tar(files: dict[str, bytes], mode: int, epoch: int, links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        parents = {str(parent) for name in files for parent in Path(name).parents} - {"."}
        for name in sorted(parents):
            archive.addfile(_member(name, 0o755, epoch, type=tarfile.DIRTYPE))
        for name, content in files.items():
            archive.addfile(_member(name, mode, epoch, size=len(content)), io.BytesIO(content))
        for name, target in (links or {}).items():
            archive.addfile(_member(name, mode, epoch, type=tarfile.LNKTYPE, linkname=target))
    return buffer.getvalue()


def _member(name: str, mode: int, epoch: int, **more: Any) -> tarfile.TarInfo:  # noqa: ANN401  # attributes of TarInfo
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = mode, epoch
    for attribute, value in more.items():
        setattr(info, attribute, value)
    return info


def _json(document: object) -> bytes:
    return json.dumps(document, indent=1).encode()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _blob(data: bytes) -> str:
    return f"blobs/sha256/{_digest(data)}"


def _descriptor(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": f"{_OCI}.{kind}", "digest": f"sha256:{_digest(data)}", "size": len(data)}
