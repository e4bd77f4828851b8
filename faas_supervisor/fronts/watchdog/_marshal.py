"""`marshal_request`: the request as one JSON document, headers and body, as the classic watchdog writes it."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["marshal"]

# A multiple of 3, so that the pieces' encodings join to that of the whole.
_PIECE: Final = 3 * 64 * 1024


def marshal(headers: Mapping[str, str], body: Path) -> None:
    """Replace the file `body` by `{"header":{name:[value]},"body":{"raw":<base64>}}`."""
    named = {"-".join(part.capitalize() for part in name.split("-")): [value] for name, value in headers.items()}
    text = json.dumps({"header": dict(sorted(named.items()))}, separators=(",", ":"), ensure_ascii=True)
    made = body.with_name("request.json")
    with body.open("rb") as source, made.open("xb") as sink:
        sink.write(text[:-1].encode() + b',"body":{"raw":"')
        while piece := source.read(_PIECE):
            sink.write(base64.b64encode(piece))
        sink.write(b'"}}')
    os.replace(made, body)  # noqa: PTH105  # as everywhere here
