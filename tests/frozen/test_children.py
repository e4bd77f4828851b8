"""The programs that a script starts run as they would without us: Python, Java, and others made by PyInstaller."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.containers import Mount
from tests.frozen.function import COMMAND, variables
from tests.frozen.images import HOSTILE, Oddity, image, run
from tests.programs import need

FREEZE = Path(__file__).parents[2] / "build" / "freeze" / "venv" / "bin"

# Harmless to the programs of the image, unlike a real library that is not there.
IMAGES_OWN = {"LD_LIBRARY_PATH": "/usr/local/lib/of-the-image", "LD_BIND_NOW": "1", "LOCPATH": "/usr/lib/locale"}

OURS = ("_PYI_", "_SUP_", "_MEI", "LD_", "FAAS_SUPERVISOR_", "PYTHON", "GLIBC_TUNABLES")


def succeeded(ended, function) -> dict[str, bytes]:
    assert ended.code == 0, ended.log
    return function.outputs()


def test_a_python_of_the_image_is_its_own(function, folder, containers, tmp_path):
    function.script = """\
#!/bin/sh
python3 -c '
import os, ssl, sys, ctypes, hashlib
libraries = {line.split()[-1] for line in open("/proc/self/maps") if ".so" in line}
print(sys.prefix, *sorted(libraries), sep="\\n")
' > "$TMP_OUTPUT_DIR/libraries"
python3 -c 'print(open("/proc/self/environ").read(), end="")' > "$TMP_OUTPUT_DIR/environ"
"""
    ended = run(
        containers,
        image("Debian 12", tmp_path),
        Oddity(),
        COMMAND,
        mounts=[Mount("/oscar/bin", folder), *function.mounts()],
        environment={"EVENT": function.put(), **IMAGES_OWN},
    )
    outputs = succeeded(ended, function)
    prefix, *libraries = outputs["libraries"].decode().split()
    assert prefix == "/usr"
    assert any("libssl" in library for library in libraries)
    assert not [library for library in libraries if not library.startswith(("/usr/", "/lib"))]
    seen = variables(outputs["environ"])
    assert {name: seen[name.encode()].decode() for name in IMAGES_OWN} == IMAGES_OWN
    ours = [name for name in seen if name.decode().startswith(OURS) and name.decode() not in IMAGES_OWN]
    assert ours == []


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Path:
    """Another program made by PyInstaller, in one file."""
    work = tmp_path_factory.mktemp("other")
    (work / "other.py").write_text(
        "import os, sys\n"
        "print(sys._MEIPASS != '/oscar/bin', *sorted(n for n in os.environ if n.startswith(('_SUP', 'FAAS'))))\n"
    )
    command = [FREEZE / "python", "-m", "PyInstaller", "--onefile", "--log-level", "ERROR", "other.py"]
    subprocess.run(command, cwd=work, check=True, timeout=300)
    (work / "dist").chmod(0o755)
    return work / "dist"


@pytest.mark.parametrize("environment", [{}, IMAGES_OWN], ids=["plain", "with loader variables"])
def test_another_program_made_by_pyinstaller_unpacks_itself(environment, function, folder, other, containers, tmp_path):
    function.script = '/opt/other > "$TMP_OUTPUT_DIR/said"\n'
    ended = run(
        containers,
        image("Debian 12", tmp_path),
        Oddity(),
        COMMAND,
        mounts=[Mount("/oscar/bin", folder), Mount("/opt", other), *function.mounts()],
        environment={"EVENT": function.put(), **environment},
    )
    assert succeeded(ended, function)["said"] == b"True\n"


def test_a_java_of_the_image_starts(function, folder, containers, tmp_path):
    need("java")
    home = Path(shutil.which("java")).resolve().parents[1]
    function.script = 'java -version 2> "$TMP_OUTPUT_DIR/said"\n'
    ended = run(
        containers,
        image("Debian 12", tmp_path),
        Oddity(),
        COMMAND,
        mounts=[
            Mount("/oscar/bin", folder),
            Mount(str(home), home),
            Mount("/usr/lib/x86_64-linux-gnu", Path("/usr/lib/x86_64-linux-gnu")),
            *function.mounts(),
        ],
        environment={"EVENT": function.put(), "PATH": f"{home}/bin:/usr/bin:/bin", **IMAGES_OWN},
    )
    assert b"openjdk" in succeeded(ended, function)["said"].lower()


@pytest.mark.parametrize("name", ["Debian 11", "musl", "busybox"])
def test_a_shell_without_the_images_variables_gets_none_of_ours(name, function, folder, containers, tmp_path):
    ended = run(
        containers,
        image(name, tmp_path),
        Oddity(),
        COMMAND,
        mounts=[Mount("/oscar/bin", folder), *function.mounts()],
        environment={"EVENT": function.put(), "FAAS_SUPERVISOR_RECORDS": "each"},
    )
    seen = variables(succeeded(ended, function)["environ"])
    assert [name for name in seen if name.decode().startswith(OURS)] == []
    assert not set(HOSTILE) & {name.decode() for name in seen}
