"""Small providers that do exactly what a test tells them, on real files, in the place of plugins."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from typing import ClassVar

from faas_supervisor.errors import NotFound
from faas_supervisor.storage import Capabilities, ObjectInfo, StorageProvider
from faas_supervisor.storage._store import Store


class Shelf(StorageProvider):
    """Objects in a dict, moved in three pieces. Each call takes the next of `steps`, if any, and lets it do its worst.

    A step is called with the provider and the operation's own arguments, and may raise, or return an `ObjectInfo`
    instead of the right one.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(checksums=frozenset({"md5"}))

    def __init__(self, objects=None):
        self.objects = {} if objects is None else objects
        self.steps = deque()
        self.calls = []
        self.closed = 0
        self.thread = threading.get_ident()

    def _step(self, operation, *arguments):
        self.calls.append((operation, arguments[0] if operation != "upload" else arguments[1]))
        if self.steps and operation in {"download", "upload"}:
            return self.steps.popleft()(self, *arguments)
        return None

    def download(self, source, destination, progress):
        if info := self._step("download", source, destination, progress):
            return info
        if source.path not in self.objects:
            raise NotFound("there is no such object")
        return self.give(source, destination, progress)

    def give(self, source, destination, progress):
        """Do what a download should."""
        content = self.objects[source.path]
        progress.start(len(content))
        with destination.open("xb") as file:
            for piece in pieces(content):
                file.write(piece)
                progress.advance(len(piece))
        return self.stat(source.path)

    def upload(self, source, path, progress):
        if info := self._step("upload", source, path, progress):
            return info
        return self.take(source, path, progress)

    def take(self, source, path, progress):
        """Do what an upload should."""
        content = source.read_bytes()
        progress.start(len(content))
        self.objects[path] = b""
        for piece in pieces(content):
            self.objects[path] += piece
            progress.advance(len(piece))
        return self.stat(path)

    def stat(self, path):
        from hashlib import md5

        content = self.objects[path]
        return ObjectInfo(path, len(content), etag="e-1", checksums={"md5": md5(content).hexdigest()})

    def list(self, prefix):
        return (self.stat(path) for path in self.objects if path.startswith(prefix))

    def delete(self, path):
        self._step("delete", path)
        self.objects.pop(path, None)

    def close(self):
        self.closed += 1


class Atomic(Shelf):
    capabilities: ClassVar[Capabilities] = Capabilities(atomic_upload=True)


class Pinning(Shelf):
    capabilities: ClassVar[Capabilities] = Capabilities(pins=True)


class Keys(Shelf):
    capabilities: ClassVar[Capabilities] = Capabilities(opaque_keys=True)


class Undeletable(Shelf):
    capabilities: ClassVar[Capabilities] = Capabilities(delete=False)


class OneThread(Shelf):
    capabilities: ClassVar[Capabilities] = Capabilities(thread_safe=False)


class Small(Shelf):
    capabilities: ClassVar[Capabilities] = Capabilities(max_object_size=10)


def pieces(content):
    size = len(content) // 3 + 1
    return [content[start : start + size] for start in range(0, len(content), size)]


def raising(*errors):
    """Return steps that raise, one error each."""

    def step(error):
        def fail(*_):
            raise error

        return fail

    return [step(error) for error in errors]


def store_of(provider, name="shelf.default"):
    """Return a store that has just this provider."""
    return Store(name, lambda: provider)


class Factory:
    """Makes providers of one class that share their objects, and remembers them."""

    def __init__(self, kind=Shelf):
        self.kind = kind
        self.made = []
        self.objects = {}
        self._lock = threading.Lock()
        self.number = itertools.count()

    def __call__(self, settings=None):
        made = self.kind(self.objects)
        with self._lock:
            self.made.append(made)
        return made
