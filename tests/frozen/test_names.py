"""Names of hosts: by the image's /etc/hosts (see every other test) and by the name server of its resolv.conf."""

from __future__ import annotations

import secrets
import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest

from tests.containers import Mount
from tests.frozen.function import COMMAND
from tests.frozen.images import IMAGES, Oddity, image, run

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "store.only.the.name.server.knows.test"

# What would send another C library to modules of its own, and look nowhere else.
NSSWITCH = "hosts: mymachines resolve [!UNAVAIL=return] myhostname\npasswd: sss systemd\n"


@pytest.fixture
def name_server() -> Iterator[tuple[str, list[str]]]:
    """Answers every question for an IPv4 address with 127.0.0.1: its own address, and the names it was asked for."""
    address = f"127.53.{secrets.randbelow(250)}.{secrets.randbelow(250) + 1}"  # the port is always 53
    asked: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))

        def serve() -> None:
            while True:
                question, client = server.recvfrom(512)
                if not question:
                    return
                end = question.index(b"\0", 12)
                kind = struct.unpack("!H", question[end + 1 : end + 3])[0]
                asked.append(_name(question[12:end]))
                answers = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1" if kind == 1 else b""
                header = question[:2] + struct.pack("!5H", 0x8180, 1, bool(answers), 0, 0)
                server.sendto(header + question[12 : end + 5] + answers, client)

        thread = threading.Thread(target=serve)
        thread.start()
        yield address, asked
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", (address, 53))
        thread.join(10)


def _name(labels: bytes) -> str:
    parts = []
    while labels:
        parts.append(labels[1 : labels[0] + 1].decode())
        labels = labels[labels[0] + 1 :]
    return ".".join(parts)


@pytest.mark.parametrize("name", IMAGES)
def test_the_name_server_of_the_image_is_asked(name, name_server, function, folder, containers, tmp_path):
    root, (address, asked) = image(name, tmp_path), name_server
    for file, text in {"resolv.conf": f"nameserver {address}\noptions timeout:5\n", "nsswitch.conf": NSSWITCH}.items():
        (root / "etc" / file).unlink(missing_ok=True)
        (root / "etc" / file).write_text(text)
    provider = function.config["storage_providers"]["minio"]["default"]
    provider["endpoint"] = provider["endpoint"].replace("store.of.this.test", NAME)
    mounts = [Mount("/oscar/bin", folder), *function.mounts()]
    ended = run(containers, root, Oddity(), COMMAND, mounts=mounts, environment={"EVENT": function.put()})
    assert ended.code == 0, ended.log
    assert function.outputs()["input.txt"] == b"what goes in\n"
    assert NAME in asked
