"""Whatever the bytes: a function or a `ConfigurationError`, and no secret in any message."""

from __future__ import annotations

import re

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from faas_supervisor.config import show
from faas_supervisor.config._keys import KEYS
from faas_supervisor.errors import ConfigurationError

EVERY = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

SECRET = "hunter2-hunter2"

# Pieces of YAML that together reach further than random text does.
PIECES = st.sampled_from(
    [
        *(f"{key.name}: " for key in KEYS),
        *("storage_providers: ", "minio: ", "default: ", "s3: ", "odd: ", "webdav: ", "secret_key: ", "port: "),
        *("functions: ", "oscar: ", "storage_provider: s3", "minio.default", "path: a/b", "10m", "512Mi", "true"),
        *(
            "- ",
            "  ",
            "\n",
            "\n  ",
            "\n    ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            "? ",
            ": ",
            "\t",
            "#",
            "~",
            "null",
            "-1",
            "1e999",
        ),
        *('"', "'", "|\n", ">\n", "---\n", "...\n", "%YAML 1.1\n", "&a ", "*a ", "<<: *a", "!!str ", "!x "),
        *("\x00", "\ufeff", "\u2028", "é"),
    ]
)


def outcome(read, text):
    """Return every line that a user would see."""
    try:
        function = read(text)
    except ConfigurationError as error:
        return (str(error), *error.faults)
    return (*show(function).splitlines(), *function.warnings, repr(function))


def in_one_line_each(lines):
    return bool(lines) and all(line.isprintable() for line in lines)


@given(st.binary(max_size=400))
@example(b"\x00")
@example(b"\xef\xbb\xbf")
@EVERY
def test_any_bytes_are_a_function_or_a_configuration_error(read, data):
    assert in_one_line_each(outcome(read, data))


@given(st.lists(PIECES | st.text(max_size=5), max_size=40).map("".join))
@EVERY
def test_anything_like_yaml_is_a_function_or_a_configuration_error(read, text):
    assert in_one_line_each(outcome(read, text))


@given(st.dictionaries(st.sampled_from([key.variable for key in KEYS if key.variable]), st.text(), max_size=3))
@EVERY
def test_any_variables_are_a_function_or_a_configuration_error(read, environment):
    read.environment = environment
    assert in_one_line_each(outcome(read, "name: x"))


VALUES = st.sampled_from(
    [
        SECRET,
        f"[{SECRET}]",
        f"{{{SECRET}: {SECRET}}}",
        f'"{SECRET}',
        f"'{SECRET}\n",
        f"|\n {SECRET}",
        f"*{SECRET}",
        f"&{SECRET} {SECRET}",
        f"!{SECRET} {SECRET}",
        f"!{SECRET}!x y",
        f"%{SECRET}",
    ]
)


@given(value=VALUES, before=st.lists(PIECES, max_size=4).map("".join), after=st.lists(PIECES, max_size=4).map("".join))
@EVERY
def test_no_secret_is_ever_told(read, value, before, after):
    text = f"storage_providers:\n  minio:\n    default:\n      {before}\n      secret_key: {value}{after}\n"
    assume(not re.search(r"^name: +[|>\"']", before, re.MULTILINE))  # it would be the name
    assert SECRET not in "\n".join(outcome(read, text))
