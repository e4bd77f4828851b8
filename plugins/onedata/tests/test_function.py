"""A whole function: a OneTrigger event, a file of a space in, a file of the space out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from faas_supervisor.storage import ObjectRef

SUPERVISOR = Path(sys.executable).parent / "supervisor"


class Silent:
    def start(self, total):
        pass

    def advance(self, n):
        pass


def test_an_event_of_onetrigger_runs_a_function_on_the_space_it_names(onedata, settings_for, made, tmp_path):
    onedata.add_provider("krakow")
    token = onedata.add_token()
    names = ("other", "science")
    settings = {
        name: settings_for(onedata, onedata.add_space(name, onedata.providers[0]), token=token) for name in names
    }
    source = tmp_path / "photo.txt"
    source.write_bytes(b"seven b")
    made(settings["science"]).upload(source, "in/photo.txt", Silent())

    (tmp_path / "script.sh").write_text('wc -c < "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/size.txt"\n')
    configuration = tmp_path / "function_config.yaml"
    providers = {
        name: {
            "oneprovider_host": known.oneprovider_host,
            "onezone_host": known.onezone_host,
            "token": known.token.reveal(),
            "space": known.space,
            "ca_bundle": known.ca_bundle,
        }
        for name, known in settings.items()
    }
    configuration.write_text(
        yaml.safe_dump(
            {
                "input": [{"storage_provider": f"onedata.{name}", "path": "in"} for name in names],
                "output": [{"storage_provider": "onedata.science", "path": "out"}],
                "storage_providers": {"onedata": providers},
            }
        )
    )
    record = {
        "objectKey": "photo.txt",
        "objectId": "1",
        "eventTime": "2026-01-31T12:00:00.000000",
        "eventSource": "OneTrigger",
    }
    event = json.dumps({"Key": "/science/in/photo.txt", "Records": [record]})
    command = [SUPERVISOR, "run", "--config", configuration]
    done = subprocess.run(
        command, env=dict(os.environ), input=event, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    back = tmp_path / "back"
    made(settings["science"]).download(ObjectRef("out/size.txt"), back, Silent())
    assert back.read_bytes().strip() == b"7"


def test_an_event_about_a_space_that_is_not_configured_is_an_error(onedata, settings_for, tmp_path):
    from faas_supervisor_onedata import faas_supervisor_storage_providers

    onedata.add_provider("krakow")
    settings = settings_for(onedata, onedata.add_space("science", onedata.providers[0]))
    (spec,) = faas_supervisor_storage_providers()
    assert spec.locate(settings, "science/in/x") == "in/x"
    assert spec.locate(settings, "arts/in/x") is None
    assert spec.locate(settings, "science") is None
