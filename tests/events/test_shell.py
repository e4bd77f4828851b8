"""What a shell does to an event on its way, and that the event survives it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from faas_supervisor.events import decode, repair, sample

SHELLS = {
    "dash": ["dash", "-c"],
    "bash": ["bash", "-c"],
    "bash as sh": ["bash", "--posix", "-c"],
    "busybox": ["busybox", "sh", "-c"],
}

# Files that the patterns in the events below match.
FILES = ["1", "a b", "notes.txt", "other.txt", "b", '"x"']

EVENTS = {
    "newline escape": r'{"text":"one\ntwo"}',
    "tab escape": r'{"text":"one\ttwo\b\f\r"}',
    "backslash": r'{"path":"C:\\new\\table"}',
    "quote": r'{"said":"\"no\""}',
    "unicode escape": r'{"name":"\u00e9\u4e2d\ud83d\ude00"}',
    "slash escape": r'{"path":"a\/b"}',
    "octal and end of output": r"a \0101 \101 \0 x\c never seen",
    "backslash at the end": "{} \\",
    "two blanks": '{"a":  "b  c"}',
    "lines": '{\n  "a": 1,\n\t"b": [1, 2]\n}\n',
    "blank at both ends": "  a  ",
    "star": '{"a": 1, "b": "x * y"}',
    "star alone": "*",
    "stars between words": "* a * notes.txt * b *",
    "stars in a row": "* * * * * command",
    "star with suffix": "all *.txt files",
    "question mark": "really ? or ?x",
    "set": "see [1] and [12] and [z]",
    "set at the end": '{"a": "b [1]',
    "set at the start": "[1] is one",
    "pattern in quotes": '{"a": "x", "b": "*" }',
    "patterns and escapes": r'{"text": "a\nb * c\\d [1] e\tf"}',
    "JSON list": "[1, 2, 3]",
    "JSON list without blanks": "[1,2,3]",
    "unicode": '{"name":"naïve 中文 😀"}',
    "option": "-n",
    "option and word": "-n word",
    "options": "-n -e -E a\\tb",
    "options at once": "-neE a b",
    "option -e": r"-e a\nb",
    "no option": "-nx - --",
    "minus": "-",
    "carriage return": "a\r\nb\x0bc\x0c d",
    "MinIO": sample("minio").decode(),
    "compact MinIO": json.dumps(json.loads(sample("minio")), separators=(",", ":")),
    "delegation": json.dumps({"storage_provider": "minio.x", "event": sample("minio").decode()}),
}


@pytest.fixture(params=SHELLS)
def shell(request):
    command = SHELLS[request.param]
    if shutil.which(command[0]) is None:
        pytest.skip(f"NOT TESTED: {command[0]} is not installed here (apt-get install busybox-static dash bash)")
    return command


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("folder")
    for name in FILES:
        (made / name).touch()
    return made


def echoed(shell: list[str], event: str, folder) -> bytes:
    """Return what `echo $EVENT` prints in `folder`."""
    environment = {"EVENT": event, "PATH": os.environ["PATH"]}
    return subprocess.run([*shell, "echo $EVENT"], env=environment, cwd=folder, capture_output=True, check=True).stdout


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_the_event_survives_every_shell(shell, folder, event):
    assert repair(echoed(shell, event, folder), event)[0] == event.encode()


def test_dash_damages_json_and_the_log_is_told(folder):
    event = EVENTS["newline escape"]
    came = echoed(SHELLS["dash"], event, folder)
    with pytest.raises(ValueError, match="control character"):
        json.loads(came)
    intact, note = repair(came, event)
    assert json.loads(intact) == {"text": "one\ntwo"}
    assert note is not None
    assert "EVENT" in note


def test_patterns_became_file_names(folder):
    came = echoed(SHELLS["bash"], EVENTS["star"], folder)
    assert b"notes.txt" in came
    assert repair(came, EVENTS["star"])[0] == EVENTS["star"].encode()


@pytest.mark.parametrize("end", [b"", b"\n"], ids=["bare", "with the newline of echo"])
def test_an_undamaged_event_needs_no_note(end):
    assert repair(b'{"a":1}' + end, '{"a":1}') == (b'{"a":1}', None)


def test_interlink_decodes_the_variable_on_the_way(shell, folder):
    event = sample("minio")
    environment = {"EVENT": base64.b64encode(event).decode(), "PATH": os.environ["PATH"]}
    command = [*shell, "echo $EVENT | base64 -d"]
    came = subprocess.run(command, env=environment, cwd=folder, capture_output=True, check=True).stdout
    assert repair(came, environment["EVENT"]) == (event, None)


def test_a_base64_event_that_was_not_decoded_is_itself():
    event = base64.b64encode(sample("minio")).decode()
    assert repair(event.encode() + b"\n", event) == (event.encode(), None)


@pytest.mark.parametrize("stdin", [b"", b"\n", b" \n"])
def test_an_empty_standard_input_is_replaced_by_the_variable(stdin):
    intact, note = repair(stdin, '{"a":1}')
    assert intact == b'{"a":1}'
    assert "empty" in (note or "")


@pytest.mark.parametrize("variable", [None, ""])
def test_without_the_variable_standard_input_is_the_event(variable):
    assert repair(b"a  b", variable) == (b"a  b", None)


@pytest.mark.parametrize(
    ("stdin", "variable"),
    [
        (b'{"b":2}\n', '{"a":1}'),
        (b'{"a":1}{"a":1}', '{"a":1}'),
        (b'{"a":1', '{"a":1}'),
        (b'{"a": 1} more', '{"a": 1}'),
        (b'more {"a": 1}', '{"a": 1}'),
        (b"something else", "[1, 2]"),
        (b"something else", "[1,2,3]"),
        (b"notes.txt more", "*.txt"),
        (b"one two", "one ? two"),
        (b"one x zwei", "one * two"),
        (b"x one two", "? one"),
        (b"one twofold x", "one two *"),
        (b"\x89PNG\r\n", '{"a":"\\n"}'),
        (b"ab", "a b"),
        (b"A B", "a b"),
        (b"else", "-n"),
        (base64.b64encode(b"something else"), "something"),
    ],
)
def test_a_standard_input_of_its_own_stays(stdin, variable):
    assert repair(stdin, variable) == (stdin, None)


def test_bytes_that_are_not_utf8_survive(folder):
    event = b'{"a":  "\xff\xfe * \\n"}'
    came = echoed(SHELLS["dash"], os.fsdecode(event), folder)
    assert came.rstrip() != event
    assert repair(came, event.decode("utf-8", "surrogateescape"))[0] == event


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(["*", "a * b", "[1]", "? ?", "\\n", "-n", "\n"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def events(draw):
    """JSON as programs write it: with and without blanks, lines and escapes."""
    document = {"event": draw(JSON)}
    style = draw(st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"indent": "\t"}]))
    written = json.dumps(document, ensure_ascii=draw(st.booleans()), **style)
    return written.encode("utf-8", "ignore").replace(b"\0", b"").decode()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=st.lists(events(), min_size=20, max_size=20))
def test_any_json_event_survives_every_shell(shell, folder, batch):
    # One shell for many events: each is written to a file and read back, as the environment would be.
    variables = {f"E{i}": event for i, event in enumerate(batch)}
    script = "; ".join(f"echo ${name}; printf '\\001\\002'" for name in variables)
    environment = {**variables, "PATH": os.environ["PATH"]}
    printed = subprocess.run([*shell, script], env=environment, cwd=folder, capture_output=True, check=True).stdout
    for event, came in zip(batch, printed.split(b"\1\2"), strict=False):
        assert repair(came, event)[0] == event.encode()


@given(st.binary(max_size=200), st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=200))
@example(b"[", "[")
@example(b" ", "\\")
def test_whatever_comes_the_event_is_one_of_the_two(stdin, variable):
    assert repair(stdin, variable)[0] in (stdin, variable.encode())


@pytest.mark.parametrize(
    "event",
    [
        "* " * 65536,
        "[a]" * 43690,
        "\\" * 131072,
        "*a" * 65536,
        "?" * 131072,
        "- " * 65536,
        "a[" * 65536,
        "* a " * 32768,
        " ".join(f"{i}*" for i in range(20_000)),
    ],
    ids=[
        "stars",
        "sets",
        "backslashes",
        "pattern",
        "question marks",
        "minus",
        "brackets",
        "stars and words",
        "many patterns",
    ],
)
def test_the_largest_event_is_compared_at_once(event):
    # With 128 KiB, anything that is not linear does not come back.
    for stdin in (event.encode()[:-3], b"b " * 65536, b"b" * 131072):
        assert repair(stdin, event)[0] in (stdin, event.encode())


@pytest.mark.parametrize(("count", "known"), [(8, True), (9, False)])
def test_only_some_different_patterns_in_a_row_are_compared(count, known):
    event = " ".join(f"{i}-*" for i in range(count))
    stdin = " ".join(f"{i}-x" for i in range(count)).encode()
    assert repair(stdin, event)[0] == (event.encode() if known else stdin)


def test_a_repaired_event_is_decoded(folder):
    event = json.dumps({"storage_provider": "minio.x", "event": sample("minio").decode()})
    came = echoed(SHELLS["dash"], event, folder)
    assert decode(came).type == "unknown"
    assert decode(repair(came, event)[0]).records[0].provider == "minio.x"
