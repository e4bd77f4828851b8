"""A warm script of the frozen supervisor: one process for a Job of many records, as without freezing."""

from __future__ import annotations

import json

import pytest

from tests.containers import Mount
from tests.frozen.function import COMMAND
from tests.frozen.images import Oddity, enter, image, run

NAMES = [f"n{number:02}" for number in range(20)]

LOOP = """\
#!/bin/sh
runs=0
while read -r request; do
    . "$WARM_ENVIRONMENT"
    runs=$((runs + 1))
    status=0
    name=${INPUT_FILE_PATH##*/}
    case $name in
    n04) status=7 ;;
    n09) exit 3 ;;
    esac
    echo "$runs $(cat "$INPUT_FILE_PATH")" >"$TMP_OUTPUT_DIR/$name.out"
    echo "{\\"status\\": $status}" >&"$WARM_REPLY_FD"
done
"""


@pytest.mark.parametrize("way", [run, enter], ids=["container", "without /proc"])
@pytest.mark.parametrize("name", ["Debian 12", "musl", "busybox"])
def test_is_one_process_for_all_records_of_a_job(name, way, function, folder, containers, tmp_path):
    function.script = LOOP
    events = [json.loads(function.put(one, f"content of {one}".encode())) for one in NAMES]
    event = {**events[0], "Records": [event["Records"][0] for event in events]}
    function.config["warm"] = True

    ended = way(
        *([containers] if way is run else []),
        image(name, tmp_path),
        Oddity(),
        COMMAND,
        mounts=[Mount("/oscar/bin", folder), *function.mounts()],
        environment={"EVENT": json.dumps(event)},
    )

    assert ended.code == 7, ended.log
    failed = {run["record"].rpartition("/")[2]: run["exit_code"] for run in ended.result["runs"] if run["failure"]}
    assert failed == {"n04": 7, "n09": 3}
    # The one that failed was a run of the first process as well; the one that ended it was its tenth, and its last.
    runs = {one: number + 1 if number < 9 else number - 9 for number, one in enumerate(NAMES) if one not in failed}
    assert function.outputs() == {f"{one}.out": f"{run} content of {one}\n".encode() for one, run in runs.items()}
