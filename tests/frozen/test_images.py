"""A whole invocation in every image, however old, bare or hostile it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.containers import Mount
from tests.frozen.function import COMMAND, INTERLINK, encoded, variables
from tests.frozen.images import HOSTILE, IMAGES, ODDITIES, Oddity, enter, image, run

if TYPE_CHECKING:
    from tests.containers import Ended

# What the supervisor adds for the script: docs/supervision.md and docs/getting-started.md.
ADDED = {
    "INPUT_FILE_PATH",
    "TMP_INPUT_DIR",
    "TMP_OUTPUT_DIR",
    "STORAGE_OBJECT_KEY",
    "EVENT_TIME",
    "EVENT",
    "RESPONSE_META",
}

SAW = """\
cat /proc/self/environ
"""


def succeeded(ended: Ended, function) -> dict[str, bytes]:
    assert ended.code == 0, ended.log
    assert ended.result["status"] == "succeeded"
    assert "Traceback" not in ended.log
    outputs = function.outputs()
    assert outputs["input.txt"] == b"what goes in\n"
    return outputs


@pytest.fixture(params=IMAGES)
def name(request) -> str:
    return request.param


@pytest.mark.parametrize(
    "oddity", [value for key, value in ODDITIES.items() if key != "no /tmp and a read-only root"],
    ids=[key for key in ODDITIES if key != "no /tmp and a read-only root"],
)  # fmt: skip
def test_an_event_of_minio_becomes_an_output(name, oddity, function, folder, containers, tmp_path):
    event = function.put()
    ended = run(
        containers,
        image(name, tmp_path, has_tmp=oddity.has_tmp),
        oddity,
        COMMAND,
        mounts=[Mount("/oscar/bin", folder), *function.mounts()],
        environment={"EVENT": event, "JOB_UUID": "1"},
    )
    outputs = succeeded(ended, function)
    seen = variables(outputs["environ"])
    for variable, value in oddity.environment.items():
        assert seen[variable.encode()] == value.encode()


@pytest.mark.parametrize("oddity", [ODDITIES["root"], ODDITIES["noexec on /tmp"], ODDITIES["hostile variables"]],
                         ids=["root", "noexec on /tmp", "hostile variables"])  # fmt: skip
def test_proc_is_not_needed(name, oddity, function, folder, tmp_path):
    event = function.put()
    ended = enter(
        image(name, tmp_path, has_tmp=oddity.has_tmp),
        oddity,
        COMMAND,
        mounts=[Mount("/oscar/bin", folder), *function.mounts()],
        environment={"EVENT": event},
    )
    assert b"_PYI_" not in succeeded(ended, function)["env"]


def test_where_nothing_can_be_written_the_result_says_so(name, function, folder, containers, tmp_path):
    oddity = ODDITIES["no /tmp and a read-only root"]
    ended = run(
        containers,
        image(name, tmp_path, has_tmp=False),
        oddity,
        COMMAND,
        mounts=[Mount("/oscar/bin", folder), Mount("/dev/shm", tmp_path), *function.mounts()],
        environment={"EVENT": function.put()},
    )
    assert (ended.code, ended.result["failure"]) == (118, "no_space"), ended.log
    assert "set TMPDIR" in ended.log
    assert function.outputs() == {}


def test_interlink_starts_it_from_another_folder(name, function, folder, containers, tmp_path):
    ended = run(
        containers,
        image(name, tmp_path),
        Oddity(),
        INTERLINK,
        mounts=[Mount("/data", folder), *function.mounts()],
        environment={"EVENT": encoded(function.put())},
    )
    succeeded(ended, function)


@pytest.mark.parametrize("environment", [{}, HOSTILE], ids=["plain", "hostile"])
def test_the_script_sees_what_a_bare_container_sees_and_what_is_documented(
    name, environment, function, folder, containers, tmp_path
):
    root, event = image(name, tmp_path), function.put()
    given = {
        "EVENT": event,
        "JOB_UUID": "1",
        "USER_S": "caf\u00e9 \u2603",
        "EMPTY": "",
        "A_LIST": "a=b;c\nd",
        **environment,
    }
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "script.sh").write_text(SAW)
    bare = run(
        containers,
        root,
        Oddity(),
        ("/bin/sh", "-c", "echo $EVENT | /bin/sh /opt/script.sh"),
        mounts=[Mount("/opt", tmp_path / "bare")],
        environment=given,
    )
    assert bare.code == 0, bare.log
    ours = run(
        containers,
        root,
        Oddity(),
        COMMAND,
        mounts=[Mount("/oscar/bin", folder), *function.mounts()],
        environment=given,
    )
    seen = variables(succeeded(ours, function)["environ"])
    added = {key: seen.pop(key.encode()) for key in ADDED}
    expected = variables(bare.stdout)
    assert expected.pop(b"EVENT") == added["EVENT"] == event.encode()
    assert seen == expected
