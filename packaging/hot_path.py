"""What an ordinary run needs, looked at while freezing: its modules stay uncompressed, its patterns are compiled.

Unpacking the modules and compiling the regular expressions (PyYAML's above all) would take a quarter of a start.

What `_sre.compile` gets is written down for each pattern that the imports of a run compile, and `quick_patterns.py`
hands it over again. Both lean on private parts of `re`, and what `light_bootstrap` replaces is private to
PyInstaller. That is safe since Python and PyInstaller are frozen with them; tests/frozen/test_hot_path.py tells when
they have changed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from array import array
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from PyInstaller.archive.writers import ZlibArchiveWriter
from PyInstaller.building import api

if TYPE_CHECKING:
    from types import CodeType

__all__ = ["light_bootstrap", "store_uncompressed", "write_patterns"]

_HERE: Final = Path(__file__).parent

# What the job front imports for an event without files, behind a classic watchdog, and for one on MinIO or S3.
_IMPORTED: Final = (
    "faas_supervisor.__main__",
    "faas_supervisor.fronts.job",
    "faas_supervisor.fronts._numbers",
    "faas_supervisor_minio.provider",
    "faas_supervisor_s3.provider",
    "obstore.store",
)

# Not seen by looking, since the program itself brings them in.
_OURS: Final = frozenset({"quick_patterns", "pattern_table"})

_OBSERVE: Final = """
import json, re, re._compiler as compiler, _sre, sys
table, asked = {}, []
class Recorder:
    def __getattr__(self, name):
        return getattr(_sre, name)
    def compile(self, pattern, flags, code, groups, groupindex, indexgroup):
        if isinstance(pattern, str):
            table[pattern, asked[-1]] = flags, code, groups, groupindex, indexgroup
        return _sre.compile(pattern, flags, code, groups, groupindex, indexgroup)
original = compiler.compile
def compile(pattern, flags=0):
    asked.append(int(flags))
    return original(pattern, flags)
compiler._sre, compiler.compile = Recorder(), compile
for name in sys.argv[1:]:
    __import__(name)
patterns = [[*key, *row] for key, row in sorted(table.items())]
json.dump({"modules": sorted(sys.modules), "patterns": patterns}, sys.stdout)
"""


def _observed() -> dict[str, list[Any]]:
    command = [sys.executable, "-I", "-c", _OBSERVE, *_IMPORTED]
    seen: dict[str, list[Any]] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return seen


def write_patterns(folder: Path) -> None:
    """Write the module `pattern_table` into `folder`."""
    lines = []
    for pattern, asked, flags, code, groups, names, order in _observed()["patterns"]:
        made = flags, array("I", code).tobytes(), groups, names, tuple(order)
        lines.append(f"    ({pattern!r}, {asked}): {made!r},\n")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pattern_table.py").write_text(f"TABLE = {{\n{''.join(lines)}}}\n", "utf-8")


def store_uncompressed() -> None:
    """Have PyInstaller store the modules of an ordinary run as they are, and compress the others well."""
    needed = _OURS.union(_observed()["modules"])

    class Writer(ZlibArchiveWriter):
        @classmethod
        def _write_entry(cls, stream: IO[bytes], entry: tuple[str, str, str], codes: dict[str, CodeType]) -> object:
            cls._COMPRESSION_LEVEL = 0 if entry[0] in needed else 9
            return super()._write_entry(stream, entry, codes)

    api.ZlibArchiveWriter = Writer


def light_bootstrap() -> None:
    """Leave out what PyInstaller does to `ctypes` at each start: importing it, and bending its error messages."""
    collect = api.get_bootstrap_modules

    def collect_light() -> list[tuple[str, str, str]]:
        light = str(_HERE / "no_ctypes_hook.py")
        return [(name, light if name == "pyimod03_ctypes" else source, kind) for name, source, kind in collect()]

    api.get_bootstrap_modules = collect_light
