"""What is measured: the cases with their contestants and our aims, all on one server with the same objects."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bench.contestants import BUCKET, Commands, Object
from bench.measure import Contestant, Failed
from tests.servers import s3_client

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.servers import S3Server

MIB = 1024 * 1024
_FILES = 500


@dataclass(frozen=True, slots=True)
class Aim:
    """What the supervisor's median shall be: at most `most`, or below `factor` times a peer's in the same run."""

    measure: str
    most: float | None = None
    below: str = ""
    factor: float = 1.0


class Store(Protocol):
    """Where the contestants of a case leave their outputs."""

    def verify(self, outputs: Mapping[str, str]) -> None:
        """Raise `Failed` unless exactly these objects are below `out/`."""

    def clear(self) -> None:
        """Remove what is below `out/`."""


@dataclass(frozen=True, slots=True)
class Case:
    """One table, and the digests by name of the objects that each contestant has to leave below `out/`."""

    title: str
    text: str
    contestants: Sequence[Contestant]
    outputs: Mapping[str, str]
    aims: Sequence[Aim]
    store: Store


class Objects:
    """What is on the server, and what the contestants left there."""

    def __init__(self, server: S3Server) -> None:
        self._client: Any = s3_client(server)
        self._client.create_bucket(Bucket=BUCKET)

    def put(self, name: str, data: bytes) -> Object:
        """Put an object below `in/`."""
        made = self._client.put_object(Bucket=BUCKET, Key=f"in/{name}", Body=data)
        return Object(name, len(data), made["ETag"].strip('"'))

    def verify(self, outputs: Mapping[str, str]) -> None:
        """Raise `Failed` unless exactly these objects are below `out/`."""
        found = {}
        for key in self._left():
            body = self._client.get_object(Bucket=BUCKET, Key=key)["Body"]
            found[key.removeprefix("out/")] = digest(body.read())
        if found != outputs:
            wrong = sorted(name for name in {*found, *outputs} if found.get(name) != outputs.get(name))
            raise Failed(f"{len(wrong)} objects are missing, wrong or too many, such as {wrong[0]}")

    def clear(self) -> None:
        """Remove what is below `out/`."""
        if keys := self._left():
            self._client.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys]})

    def _left(self) -> list[str]:
        listed = self._client.list_objects_v2(Bucket=BUCKET, Prefix="out/", MaxKeys=1000)
        return [entry["Key"] for entry in listed.get("Contents", [])]


def make_cases(server: S3Server, objects: Objects, folder: Path) -> dict[str, Case]:
    """Put everything in its place, and return the cases by letter."""
    noise = random.Random(1)
    small, large = noise.randbytes(1024), large_object()
    files = {f"{number:03}.bin": noise.randbytes(10 * 1024) for number in range(_FILES)}
    prepared = folder / "prepared"
    prepared.mkdir()
    for name, data in files.items():
        (prepared / name).write_bytes(data)
    commands = Commands(server, prepared)
    small_object = objects.put("small", small)
    return {
        "a": Case(
            "No storage",
            "An event without a file, the script `true`, and no output: what a start costs. Nothing in Python can be "
            "cheaper than the second row.",
            commands.starts(),
            {},
            [],
            objects,
        ),
        "b": Case(
            "1 KiB in and out",
            "MinIO's event for an object of 1 KiB; the script copies its input. A peer is run twice, to download and "
            "to upload, with a `cp` between. The second and third row are the supervisor with an SDK in the place of "
            "obstore.",
            commands.both_ways(small_object),
            {"small": digest(small)},
            [Aim("cpu", most=0.120)],
            objects,
        ),
        "c": Case(
            "256 MiB in and out",
            "The same with an object of 256 MiB.",
            commands.both_ways(objects.put("large", large)),
            {"large": digest(large)},
            [Aim("cpu", below="s5cmd"), Aim("peak", most=96 * MIB)],
            objects,
        ),
        "d": Case(
            f"{_FILES} files of 10 KiB out",
            f"The script copies a folder of {_FILES} files into its output folder; nothing is downloaded. A peer "
            "uploads a copy of the folder with one command.",
            commands.up(small_object),
            {name: digest(data) for name, data in files.items()},
            [Aim("cpu", below="s5cmd")],
            objects,
        ),
    }


def large_object() -> bytes:
    """Return 256 MiB that no compression makes smaller."""
    noise = random.Random(2)
    return b"".join(noise.randbytes(MIB) for _ in range(256))


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()
