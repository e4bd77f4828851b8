"""The keys of a service, variables that override them, and the file that a service's author writes."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from faas_supervisor.config import Function, Input, Output, Target, faults_of
from faas_supervisor.config._keys import KEYS
from faas_supervisor.errors import ConfigurationError

OSCAR = Path(__file__).with_name("oscar.yaml")


def test_a_file_that_oscar_wrote_gives_a_function_without_a_word(read):
    read.mount("minio.default", accessKey="plants", secretKey="plants-secret")
    function = read(OSCAR.read_bytes())
    assert function.name == "plants"
    assert function.log_level == "INFO"
    assert function.isolation_level == "SERVICE"
    assert function.inputs == (Input("minio.default", "plants/in"),)
    assert function.outputs == (
        Output("minio.default", "plants/out", suffix=("png", ".txt")),
        Output("minio.default", "plants/all"),
    )
    assert dict(function.environment) == {"FLAG": "yes", "RATE": "1e3", "ZIP": "01234", "EMPTY": ""}
    settings = function.providers["minio.default"].settings
    assert (settings.endpoint, settings.region) == ("https://minio.example.org", "us-east-1")
    assert settings.secret_key.reveal() == "plants-secret"
    assert function.warnings == ()
    assert faults_of(function) == ()


def test_an_empty_text_is_a_function_of_defaults(read):
    assert read("") == Function(file="function_config.yaml")


def test_every_attribute_of_a_function_has_a_key(read):
    described = {key.field for key in KEYS} | {"providers", "file", "warnings", "origins"}
    assert described == {field.name for field in fields(Function)}


def test_every_key_of_ours_has_a_variable_of_its_name(read):
    ours = [key for key in KEYS if key.variable.startswith("FAAS_SUPERVISOR_")]
    assert [key.variable for key in ours] == [f"FAAS_SUPERVISOR_{key.name.upper()}" for key in ours]
    assert {"upload_on", "result", "log_format", "transfer_memory", "transfer_files", "transfer_deadline"} <= {
        key.name for key in ours
    }


def test_all_faults_come_at_once_in_the_order_of_the_lines(read):
    text = """\
        log_level: LOUD
        storage_providers:
          minio:
            default:
              endpont: http://localhost:9000
              access_key: a
              secret_key: b
        output:
          - storage_provider: minio.default
            path: /
            sufix: [png]
        file_stage_in: maybe
        """
    assert read.faults(text) == (
        '1:12: log_level: "LOUD" is no log level. Use CRITICAL, ERROR, WARNING, INFO or DEBUG',
        '5:7: storage_providers.minio.default.endpont: unknown key. Did you mean "endpoint"?',
        "10:11: output[0].path: path is empty",
        '11:5: output[0].sufix: unknown key. Did you mean "suffix"?',
        '12:16: file_stage_in: must be true or false, not "maybe"',
    )


def test_a_single_fault_is_the_message_and_several_are_counted(read):
    with pytest.raises(ConfigurationError) as one:
        read("log_level: LOUD")
    assert one.value.message == one.value.faults[0]
    with pytest.raises(ConfigurationError) as two:
        read("log_level: LOUD\nupload_on: never\n")
    assert two.value.message == "2 faults in function_config.yaml"


def test_a_thousand_faults_are_cut(read):
    faults = read.faults("input: [" + "x," * 1000 + "]")
    assert len(faults) == 101
    assert faults[-1].endswith("and 900 faults more")


def test_likely_names_are_not_looked_up_for_faults_that_nobody_sees(read, monkeypatch):
    import difflib

    asked = []
    monkeypatch.setattr(difflib, "get_close_matches", lambda name, *_, **__: asked.append(name) or [])
    read.faults("output: [{" + "".join(f"k{n}: x, " for n in range(1000)) + "}]")
    assert len(asked) == 100


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("name: 0123", "name", "0123"),
        ("name: yes", "name", "yes"),
        ("name: 1e3", "name", "1e3"),
        ("log_level: debug", "log_level", "DEBUG"),
        ("log_level: Warn", "log_level", "WARN"),
        ("isolation_level: user", "isolation_level", "USER"),
        ("bucket_list: [a, 007]", "bucket_list", ("a", "007")),
        ("bucket_list: only", "bucket_list", ("only",)),
        ("file_stage_in: yes", "file_stage_in", True),
        ("file_stage_in: 'true'", "file_stage_in", True),
        ("file_stage_in: Off", "file_stage_in", False),
        ("download_input: false", "download_input", False),
        ("execution_mode: lambda-batch", "execution_mode", "lambda-batch"),
        ("extra_payload: /tmp/x", "extra_payload", "/tmp/x"),
        ("log_format: JSON", "log_format", "json"),
        ("upload_on: always", "upload_on", "always"),
        ("combine_output: no", "combine_output", False),
        ("transfer_memory: 512Mi", "transfer_memory", 512 * 1024 * 1024),
        ("transfer_memory: 1.5G", "transfer_memory", 1_500_000_000),
        ("transfer_memory: 1048576", "transfer_memory", 1048576),
        ("transfer_files: 4", "transfer_files", 4),
        ("stream: true", "stream", "stream"),
        ("mount: {storage_provider: minio.default, path: a}", "mounts", True),
        ('mount: {storage_provider: "", path: ""}', "mounts", False),
        ("mount: whatever", "mounts", False),
        ("stream: off", "stream", ""),
        ("stream: so far", "stream", "so far"),
        ("skip_existing: true", "skip_existing", True),
        ("transfer_deadline: 90", "transfer_deadline", 90.0),
        ("transfer_deadline: 10m", "transfer_deadline", 600.0),
        ("transfer_deadline: 1m30s", "transfer_deadline", 90.0),
        ("transfer_deadline: 1.5h", "transfer_deadline", 5400.0),
        ("transfer_deadline: 250ms", "transfer_deadline", 0.25),
        ("result: {storage_provider: s3, path: /b/r/}", "result", Target("s3.default", "b/r")),
        ("environment: {Variables: {A: 1}}", "environment", {"A": "1"}),
        ("environment: {variables: {A: , B: null, C: ''}}", "environment", {"C": ""}),
        ("environment: {Variables: {A: 1, B: 1}, variables: {B: 2}}", "environment", {"A": "1", "B": "2"}),
    ],
)
def test_a_key_has_its_value(read, text, field, value):
    assert getattr(read(text), field) == value


SUFFIX = "1:19: output[0].suffix: must be a list of texts, not a mapping"
PREFIX = "1:20: output[0].prefix[0]: must be text, not a list"
NO_VARIABLE = "no variable can have this name or value"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name: [a]", "1:7: name: must be text, not a list"),
        ("stream: a/b", "1:9: stream: names no folder. Write the name of a folder in TMP_OUTPUT_DIR, or true"),
        ("stream: ..", "1:9: stream: names no folder. Write the name of a folder in TMP_OUTPUT_DIR, or true"),
        (f"stream: {'x' * 256}", "1:9: stream: names no folder. Write the name of a folder in TMP_OUTPUT_DIR, or true"),
        ("stream: [a]", "1:9: stream: must be text, not a list"),
        ("transfer_files: 0", "1:17: transfer_files: must be between 1 and 256, not 0"),
        ("transfer_files: 1_0", '1:17: transfer_files: must be a whole number, not "1_0"'),
        ("transfer_files: ٣", '1:17: transfer_files: must be a whole number, not "٣"'),
        (
            "transfer_memory: 512m",
            '1:18: transfer_memory: must be an amount of bytes, not "512m". Write it like 512Mi, 2G or 1048576',
        ),
        ("transfer_memory: 0", "1:18: transfer_memory: must be more than 0"),
        (
            "transfer_deadline: 10 m",
            '1:20: transfer_deadline: must be a duration, not "10 m". Write it like 90, 10m or 1h30m',
        ),
        ("transfer_deadline: 0s", "1:20: transfer_deadline: must be more than 0"),
        ("upload_on: failure", '1:12: upload_on: must be success or always, not "failure"'),
        ("input: minio.default", "1:8: input: must be a list, not text"),
        ("input: [minio.default]", "1:9: input[0]: must be a mapping, not text"),
        ("input: [null]", "1:9: input[0]: must be a mapping, not null"),
        ("input: [{path: a/b}]", "1:9: input[0]: storage_provider is not set"),
        ("input: [{storage_provider: '', path: a}]", "1:28: input[0].storage_provider: storage_provider is empty"),
        ("output: [{storage_provider: s3}]", "1:10: output[0]: path is not set"),
        ("output: [{storage_provider: s3, path: }]", "1:39: output[0].path: path is empty"),
        (
            "output: [{storage_provider: 's3.', path: a}]",
            "1:29: output[0].storage_provider: names no provider. Write type.id, such as minio.default",
        ),
        ("output: [{suffix: {a: b}, storage_provider: s3, path: a}]", SUFFIX),
        ("output: [{prefix: [[a]], storage_provider: s3, path: a}]", PREFIX),
        ("input: [{storage_provider: s3, path: a, required: true}]", "1:41: input[0].required: unknown key"),
        ("output: [{storage_provider: [s3], path: a}]", "1:29: output[0].storage_provider: must be text, not a list"),
        ("output: [{storage_provider: s3, path: [a]}]", "1:39: output[0].path: must be text, not a list"),
        ("result: minio.default", "1:9: result: must be a mapping, not text"),
        ("environment: [A=b]", "1:14: environment: must be a mapping, not a list"),
        ("environment: {variables: [A=b]}", "1:26: environment.variables: must be a mapping, not a list"),
        ("environment: {variables: {A: [b]}}", "1:30: environment.variables.A: must be text, not a list"),
        ("environment: {variables: {'A=B': b}}", f"1:34: environment.variables.A=B: {NO_VARIABLE}"),
        ('environment: {variables: {A: "\\0"}}', f"1:30: environment.variables.A: {NO_VARIABLE}"),
        ("[a]", "1:1: must be a mapping, not a list"),
        ("text", "1:1: must be a mapping, not text"),
        ("bucket_list: [a, {b: c}]", "1:18: bucket_list[1]: must be text, not a mapping"),
    ],
)  # fmt: skip
def test_a_value_that_will_not_do_is_told_with_its_place(read, text, fault):
    assert read.faults(text) == (fault,)


def test_keys_of_oscar_that_mean_nothing_here_are_accepted(read):
    assert read("kserve: {a: [1]}\nwhatever: x\nmount: {storage_provider: minio, path: x}\n").inputs == ()


def test_a_single_suffix_is_a_list_of_one(read):
    output = read("output: [{storage_provider: s3, path: a, suffix: png, prefix: [a, b]}]").outputs[0]
    assert (output.prefix, output.suffix) == (("a", "b"), ("png",))


def test_an_output_can_be_required(read):
    assert read("output: [{storage_provider: s3, path: a, required: true}]").outputs[0].required


def test_the_filters_of_an_input_mean_nothing(read):
    assert read("input: [{storage_provider: S3, path: a, suffix: [x]}]").inputs == (Input("s3.default", "a"),)


def test_a_key_set_twice_is_a_fault(read):
    assert read.faults("name: a\nname: b\n") == ("2:1: name: set twice, first in line 1",)


def test_a_message_stays_on_one_line(read):
    faults = read.faults('log_level: "a\\nb"\ninput: [{"x\\ny": 1, storage_provider: s3, path: a}]')
    assert faults[0].startswith('1:12: log_level: "a\\nb" is no')
    assert faults[1].startswith("2:10: input[0].x\\ny: unknown")


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("LOG_LEVEL", "debug", "log_level", "DEBUG"),
        ("EXECUTION_MODE", "batch", "execution_mode", "batch"),
        ("DOWNLOAD_INPUT", "0", "download_input", False),
        ("EXTRA_PAYLOAD", "a: [", "extra_payload", "a: ["),
        ("FAAS_SUPERVISOR_UPLOAD_ON", "always", "upload_on", "always"),
        ("FAAS_SUPERVISOR_LOG_FORMAT", "json", "log_format", "json"),
        ("FAAS_SUPERVISOR_COMBINE_OUTPUT", "false", "combine_output", False),
        ("FAAS_SUPERVISOR_TRANSFER_MEMORY", "64Mi", "transfer_memory", 64 * 1024 * 1024),
        ("FAAS_SUPERVISOR_TRANSFER_FILES", "2", "transfer_files", 2),
        ("FAAS_SUPERVISOR_STREAM", "yes", "stream", "stream"),
        ("FAAS_SUPERVISOR_TRANSFER_DEADLINE", "1h", "transfer_deadline", 3600.0),
        ("FAAS_SUPERVISOR_RESULT", "{storage_provider: s3.x, path: b/r}", "result", Target("s3.x", "b/r")),
    ],
)
def test_a_variable_sets_a_key(read, variable, value, field, expected):
    read.environment[variable] = value
    assert getattr(read(""), field) == expected


def test_a_variable_goes_before_the_file(read):
    read.environment["LOG_LEVEL"] = "ERROR"
    assert read("log_level: DEBUG").log_level == "ERROR"


def test_an_empty_variable_sets_nothing(read):
    read.environment["LOG_LEVEL"] = ""
    assert read("log_level: DEBUG").log_level == "DEBUG"


def test_a_variable_of_the_service_counts_where_nobody_exported_it(read):
    text = "environment: {variables: {FAAS_SUPERVISOR_UPLOAD_ON: always, LOG_LEVEL: ERROR}}\nlog_level: INFO\n"
    assert (read(text).upload_on, read(text).log_level) == ("always", "ERROR")
    read.environment["FAAS_SUPERVISOR_UPLOAD_ON"] = "success"
    assert read(text).upload_on == "success"


@pytest.mark.parametrize(
    ("variable", "value", "fault"),
    [
        ("LOG_LEVEL", "LOUD", '$LOG_LEVEL: log_level: "LOUD" is no log level'),
        ("FAAS_SUPERVISOR_TRANSFER_FILES", "many", "$FAAS_SUPERVISOR_TRANSFER_FILES: transfer_files: must be a whole"),
        ("FAAS_SUPERVISOR_RESULT", "{path: x}", "$FAAS_SUPERVISOR_RESULT:1:1: result: storage_provider is not set"),
        ("FAAS_SUPERVISOR_RESULT", "{path: x", "$FAAS_SUPERVISOR_RESULT:1:9: not valid YAML"),
        ("LOG_LEVEL", "\udc80", "$LOG_LEVEL: is not UTF-8"),
    ],
)
def test_a_bad_variable_is_told_by_its_name(read, variable, value, fault):
    read.environment[variable] = value
    (found,) = read.faults("")
    assert found.startswith(fault)


FDL = """\
functions:
  oscar:
  - cluster:
      name: plants
      log_level: DEBUG
      input:
      - {storage_provider: s3.mine, path: b/in}
storage_providers:
  s3:
    mine: {region: eu-west-1}
"""


def test_the_file_of_a_services_author_is_understood(read):
    function = read(FDL)
    assert (function.name, function.log_level) == ("plants", "DEBUG")
    assert function.providers["s3.mine"].settings.region == "eu-west-1"


def test_the_services_own_providers_go_before_those_of_the_whole_file(read):
    own = "      storage_providers: {s3: {mine: {region: us-east-2}}}\n"
    function = read(FDL.replace("storage_providers:\n", f"{own}storage_providers:\n", 1))
    assert function.providers["s3.mine"].settings.region == "us-east-2"


def test_faults_of_a_services_author_have_the_whole_path(read):
    assert read.faults(FDL.replace("DEBUG", "LOUD"))[0].startswith("5:18: functions.oscar[0].cluster.log_level: ")
    assert read.faults(FDL.replace("region", "regoin"))[0].startswith("10:12: storage_providers.s3.mine.regoin: ")


@pytest.mark.parametrize(
    ("functions", "fault"),
    [
        ("{oscar: [{a: {name: x}}, {a: {name: y}}]}", "holds 2 OSCAR functions"),
        ("{oscar: [{a: {name: x}, b: {name: y}}]}", "holds 2 OSCAR functions"),
        ("{aws: [{lambda: {name: x}}]}", "holds no OSCAR function"),
        ("{oscar: x}", "holds no OSCAR function"),
        ("x", "holds no OSCAR function"),
    ],
)
def test_a_file_without_exactly_one_function_is_a_fault(read, functions, fault):
    (found,) = read.faults(f"functions: {functions}")
    assert found == f"1:1: functions: {fault}. A configuration is for exactly one"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"name: a\nb: \xff", "2:4: is not UTF-8"),
        (b"\xff\xfen\x00", "1:1: is not UTF-8"),
        (b"#" * (1024 * 1024 + 1), " is larger than 1 MiB"),
        ("#" * (1024 * 1024 + 1), " is larger than 1 MiB"),
        ("a: \ud800", "1:4: is not UTF-8"),
    ],
    ids=["bytes", "utf-16", "large bytes", "large text", "surrogate"],
)
def test_what_is_no_text_is_a_fault(read, text, fault):
    assert read.faults(text) == (fault,)


def test_check_lists_everything_and_raises_nothing(read):
    text = """\
        log_level: LOUD
        input: [{storage_provider: minio, path: a}]
        output: [{storage_provider: s3.bakup, path: a}, {storage_provider: nowhere.x, path: a}]
        storage_providers: {s3: {backup: {}}}
        """
    faults = read.check(text)
    assert [fault.removeprefix("function_config.yaml:") for fault in faults[:1] + faults[3:]] == [
        '1:12: log_level: "LOUD" is no log level. Use CRITICAL, ERROR, WARNING, INFO or DEBUG',
        '3:29: storage_providers.s3.bakup: is configured nowhere. Did you mean "s3.backup"?',
        "3:68: storage_providers.nowhere.x: no plugin is installed for provider type 'nowhere' — pip install something",
    ]
    assert [fault.split(": ")[1:3] for fault in faults[1:3]] == [
        ["minio.default", "access_key is not set"],
        ["minio.default", "secret_key is not set"],
    ]
