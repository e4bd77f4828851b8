"""The two services: what an Onezone and an Oneprovider answer to each request."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qs, unquote

from faas_supervisor_onedata.testing._server import Answer, Listener
from faas_supervisor_onedata.testing._world import (
    OLD_NAMES,
    EmulatedSpace,
    Failed,
    Node,
    Token,
    World,
    attributes,
    new_id,
    posix,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from faas_supervisor_onedata.testing._server import Handler, Seen

__all__ = ["EmulatedProvider", "OnedataEmulator"]

_ZONE: Final = "/api/v3/onezone"
_PROVIDER: Final = "/api/v3/oneprovider"
_CAMEL_CASE_SINCE: Final = (21, 2, 5)
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d*)")


class EmulatedProvider:
    """An Oneprovider with a listener of its own.

    Attributes:
        id: Its id.
        name: Its name.
        version: What the Onezone tells; below 21.02.5, attributes have other names.
        online: What the Onezone tells, whether or not it answers.
        listener: Its server: stop it, or let it fail.
    """

    def __init__(self, emulator: OnedataEmulator, name: str, version: str, context: ssl.SSLContext | None) -> None:
        self.id: Final = new_id()
        self.name: Final = name
        self.version: Final = version
        self.online = True
        self._emulator: Final = emulator
        self.listener: Final = Listener(self.handle, context)

    @property
    def domain(self) -> str:
        """Its host and port."""
        return self.listener.host

    @property
    def seen(self) -> list[Seen]:
        """The requests that arrived."""
        return self.listener.seen

    def handle(self, handler: Handler, seen: Seen) -> Answer:
        """Answer a request."""
        path, _, query = seen.target.partition("?")
        if not path.startswith(f"{_PROVIDER}/"):
            raise Failed(404, "notFound", "The resource could not be found.")
        # Split before it is unquoted, so that a quoted slash is one of the name.
        segments = [unquote(part) for part in path.removeprefix(f"{_PROVIDER}/").split("/")]
        options = {name: values[0] for name, values in parse_qs(query).items()}
        with self._emulator.world.lock:
            if segments == ["configuration"] and seen.method == "GET":
                return self._configuration()
            token = self._token(seen)
            if segments[0] == "lookup-file-id" and seen.method == "POST":
                return self._look_up(token, segments[1:])
            if segments[0] != "data" or len(segments) < 2:  # noqa: PLR2004
                raise Failed(404, "notFound", "The resource could not be found.")
            space, node = self._node(token, segments[1])
            route = (seen.method, segments[2] if len(segments) > 2 else "")  # noqa: PLR2004
            if route == ("PUT", "content"):
                self._writable(token, space, node)
            elif route == ("PUT", "path"):
                return self._create(token, space, segments[3:], options)
            elif route in _ROUTES:
                return _ROUTES[route](self, token, space, node, seen, options)
            else:
                raise Failed(404, "notFound", "The resource could not be found.")
        # Without the lock: a content takes its time.
        handler.save(node.content, int(options["offset"]) if "offset" in options else None)
        node.modified = int(time.time())
        return Answer(204)

    def _configuration(self) -> Answer:
        document = {
            "providerId": self.id,
            "name": self.name,
            "domain": self.domain,
            "onezoneDomain": self._emulator.zone_host,
            "version": self.version,
            "build": "emulated",
        }
        return Answer(document=document)

    def _token(self, seen: Seen) -> Token:
        given = seen.headers.get("X-Auth-Token") or seen.headers.get("Authorization", "").removeprefix("Bearer ")
        token = self._emulator.world.tokens.get(given)
        if token is None:
            details = {"authError": {"id": "tokenInvalid"}}
            raise Failed(401, "unauthorized", "The resource could not be accessed.", **details)
        if token.forbidden:
            raise Failed(403, "forbidden", "You are not authorized to perform this operation.")
        return token

    def _node(self, token: Token, id_: str) -> tuple[EmulatedSpace, Node]:
        space, node = self._emulator.world.by_id(id_)
        self._supported(token, space)
        return space, node

    def _supported(self, token: Token, space: EmulatedSpace) -> None:
        if token.spaces is not None and space.id not in token.spaces:
            raise posix("enoent")
        if self.id not in space.supports:
            message = "This provider does not support the space."
            raise Failed(400, "spaceNotSupportedBy", message, spaceId=space.id, providerId=self.id)
        if space.refuses:
            raise posix(space.refuses)

    def _writable(self, token: Token, space: EmulatedSpace, node: Node | None) -> None:
        if token.readonly:
            raise posix("eacces")
        if space.supports[self.id]:
            raise posix("erofs")
        if node is not None and node.kind != "REG":
            raise posix("eisdir")
        if node is not None and space.full:
            raise posix("enospc")

    def _look_up(self, token: Token, segments: list[str]) -> Answer:
        name, _, id_ = segments[0].rpartition("@")
        space = self._emulator.world.spaces.get(id_)
        if space is None or space.name != name:
            raise posix("enoent")
        self._supported(token, space)
        found = self._emulator.world.find(space.root, [part for part in segments[1:] if part])
        return Answer(document={"fileId": found.id})

    def _create(self, token: Token, space: EmulatedSpace, segments: list[str], options: dict[str, str]) -> Answer:
        self._writable(token, space, None)
        parents = options.get("create_parents") == "true"
        made = self._emulator.world.create(space, segments, options.get("type", "REG"), parents=parents)
        headers = {"Location": f"https://{self.domain}{_PROVIDER}/data/{made.id}"}
        return Answer(201, {"fileId": made.id}, headers)

    def attributes(self, _: Token, __: EmulatedSpace, node: Node, seen: Seen, ___: dict[str, str]) -> Answer:
        """Answer with attributes: those that the body names, or all."""
        return Answer(document=self._shown(node, seen, all_by_default=True))

    def children(self, _: Token, __: EmulatedSpace, node: Node, seen: Seen, options: dict[str, str]) -> Answer:
        """Answer with a page of a folder."""
        if node.kind != "DIR":
            raise posix("enotdir")
        names = sorted(node.children)
        start = _page_start(options["token"]) if "token" in options else 0
        limit = min(int(options.get("limit", "1000")), self._emulator.page_size)
        page = [self._shown(node.children[name], seen) for name in names[start : start + limit]]
        last = start + limit >= len(names)
        return Answer(
            document={"children": page, "isLast": last, "nextPageToken": None if last else _page_token(start + limit)}
        )

    def content(self, _: Token, __: EmulatedSpace, node: Node, seen: Seen, ___: dict[str, str]) -> Answer:
        """Answer with the bytes of a file, or a range of them."""
        if node.kind == "DIR":
            return Answer(302, headers={"Location": f"https://{self.domain}/download/{node.id}.tar"})
        size = node.size or 0
        headers = {"Content-Disposition": 'attachment; filename="file"', "Content-Type": "application/octet-stream"}
        asked = _RANGE.fullmatch(seen.headers.get("Range", ""))
        if asked is None:
            return Answer(200, None, headers, node.content, 0, size)
        start, end = int(asked[1]), min(int(asked[2] or size), size - 1)
        if start >= size:
            return Answer(416, headers={"Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {start}-{end}/{size}"
        return Answer(206, None, headers, node.content, start, end - start + 1)

    def remove(self, token: Token, space: EmulatedSpace, node: Node, _: Seen, __: dict[str, str]) -> Answer:
        """Remove a file, or a folder with all that is in it."""
        self._writable(token, space, None)
        self._emulator.world.remove(node)
        return Answer(204)

    def _shown(self, node: Node, seen: Seen, *, all_by_default: bool = False) -> dict[str, Any]:
        """Return the attributes that were asked for, under the names of this version."""
        found = attributes(node, self.id)
        if tuple(int(part) for part in self.version.split(".")) < _CAMEL_CASE_SINCE:
            named = {OLD_NAMES.get(name, name): value for name, value in found.items()}
            wanted = re.findall(r"attribute=(\w+)", seen.target)
        else:
            named = found
            wanted = json.loads(seen.body or b"{}").get("attributes") or []
        if not wanted and not all_by_default:
            wanted = ["name", "type"]
        return {name: named[name] for name in wanted} if wanted else named


_ROUTES: Final[dict[tuple[str, str], Callable[..., Answer]]] = {
    ("GET", ""): EmulatedProvider.attributes,
    ("GET", "children"): EmulatedProvider.children,
    ("GET", "content"): EmulatedProvider.content,
    ("DELETE", ""): EmulatedProvider.remove,
}


class OnedataEmulator:
    """An Onezone, its Oneproviders, and what they hold in files below `folder`.

    Attributes:
        page_size: The most entries in one page of a listing, whatever is asked for.
        version: The Onezone's version.
    """

    def __init__(self, folder: Path, context: ssl.SSLContext | None, *, page_size: int = 10_000) -> None:
        self.world: Final = World(folder)
        self.page_size = page_size
        self.version = "25.2"
        self.providers: Final[list[EmulatedProvider]] = []
        self._context: Final = context
        self.zone: Final = Listener(lambda _, seen: self._zone(seen), context)
        self._fronts: Final[list[Listener]] = []

    @property
    def zone_host(self) -> str:
        """Host and port of the Onezone."""
        return self.zone.host

    def add_provider(self, name: str, *, version: str = "21.02.8") -> EmulatedProvider:
        """Start an Oneprovider."""
        self.providers.append(EmulatedProvider(self, name, version, self._context))
        return self.providers[-1]

    def add_space(
        self, name: str, *supports: EmulatedProvider, readonly: tuple[EmulatedProvider, ...] = ()
    ) -> EmulatedSpace:
        """Make a space that these Oneproviders support, some of them maybe `readonly`."""
        chosen = {provider.id: False for provider in supports} | {provider.id: True for provider in readonly}
        return self.world.add_space(name, chosen)

    def add_token(
        self, *, readonly: bool = False, spaces: tuple[EmulatedSpace, ...] | None = None, forbidden: bool = False
    ) -> str:
        """Make a token; with `forbidden`, Oneproviders refuse all that it asks for."""
        text = base64.urlsafe_b64encode(f"0033location {self.zone_host}\n{new_id()}".encode()).decode().rstrip("=")
        only = None if spaces is None else tuple(space.id for space in spaces)
        self.world.tokens[text] = Token(readonly, only, forbidden)
        return text

    def open_front(self, provider: EmulatedProvider) -> str:
        """Serve the Onezone and one Oneprovider together, without TLS, and return the URL.

        For what stands between client and server in a test: whatever host a client uses to come here, it is told
        that this host is the Oneprovider's, so it always takes the same way.
        """

        def handle(handler: Handler, seen: Seen) -> Answer:
            if seen.target.startswith(_ZONE):
                return self._zone(seen, {provider.id: seen.headers.get("Host", "")})
            return provider.handle(handler, seen)

        self._fronts.append(Listener(handle, None))
        return f"http://{self._fronts[-1].host}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for listener in (self.zone, *self._fronts, *(provider.listener for provider in self.providers)):
            listener.stop()

    def _zone(self, seen: Seen, domains: dict[str, str] | None = None) -> Answer:
        if (seen.method, seen.target) == ("GET", f"{_ZONE}/configuration"):
            return Answer(document={"name": "emulated", "domain": self.zone_host, "version": self.version})
        if (seen.method, seen.target) != ("POST", f"{_ZONE}/tokens/infer_access_token_scope"):
            raise Failed(404, "notFound", "The resource could not be found.")
        with self.world.lock:
            token = self.world.tokens.get(json.loads(seen.body).get("token"))
            if token is None:
                raise Failed(401, "unauthorized", "Bad token.", authError={"id": "tokenInvalid"})
            return Answer(document={"validUntil": None, "dataAccessScope": self._scope(token, domains or {})})

    def _scope(self, token: Token, domains: dict[str, str]) -> dict[str, Any]:
        spaces = [one for id_, one in self.world.spaces.items() if token.spaces is None or id_ in token.spaces]
        supporting = {id_ for space in spaces for id_ in space.supports}
        return {
            "readonly": token.readonly,
            "spaces": {
                space.id: {
                    "name": space.name,
                    "supports": {id_: {"readonly": readonly} for id_, readonly in space.supports.items()},
                }
                for space in spaces
            },
            "providers": {
                provider.id: {
                    "name": provider.name,
                    "domain": domains.get(provider.id, provider.domain),
                    "version": provider.version,
                    "online": provider.online,
                }
                for provider in self.providers
                if provider.id in supporting
            },
        }


def _page_token(start: int) -> str:
    """Return an opaque token, with all that has a meaning in URLs."""
    return base64.b64encode(b"\xfb\xef\xff" + str(start).encode()).decode() + "+/="


def _page_start(token: str) -> int:
    if not token.endswith("+/="):
        raise Failed(400, "badData", "Bad value: the page token is not one that was given.", key="token")
    return int(base64.b64decode(token.removesuffix("+/="))[3:])
