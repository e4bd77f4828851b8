"""The tree behind the configuration: places, syntax faults, limits."""

from __future__ import annotations

import pytest
import yaml

from faas_supervisor.config import _document
from faas_supervisor.config._document import parse
from faas_supervisor.config._findings import Findings
from faas_supervisor.errors import ConfigurationError


@pytest.fixture(params=["libyaml", "python"], autouse=True)
def both_parsers(request, monkeypatch):
    """PyYAML without libyaml is what some platforms have; every rule holds there, too."""
    if request.param == "python":
        monkeypatch.setattr(_document, "_Loader", yaml.SafeLoader)
    return request.param


def document(text):
    findings = Findings("f")
    node = parse(text, "f", findings)
    findings.raise_if_any()
    return node


def plain(node):
    if isinstance(node.value, dict):
        return {key: plain(value) for key, value in node.value.items()}
    return [plain(item) for item in node.value] if isinstance(node.value, tuple) else node.value


def fault(text):
    with pytest.raises(ConfigurationError) as caught:
        document(text)
    assert len(caught.value.faults) == 1
    return caught.value.faults[0]


def test_keys_and_values_know_their_line_and_column():
    root = document("a: 1\nouter:\n  - x\n  -   inner: deep\n")
    assert str(root.keys["outer"]) == "f:2:1"
    first, second = root.value["outer"].value
    assert str(first.place) == "f:3:5"
    assert str(second.keys["inner"]) == "f:4:7"
    assert str(second.value["inner"].place) == "f:4:14"


def test_columns_count_characters_not_bytes():
    root = document('{"ключ": "значение", b: c}')
    assert str(root.keys["b"]) == "f:1:22"


def test_a_byte_order_mark_is_no_column():
    assert str(document("\ufeffa: b").value["a"].place) == "f:1:4"


@pytest.mark.parametrize("text", ["0123", "yes", "1e3", "1_000", "12:30:45", "2026-01-01", "0x10", ".5", "No"])
def test_texts_stay_as_they_are_written(text):
    assert plain(document(f"a: {text}")) == {"a": text}


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL", "!!null x"])
def test_null_is_null_however_it_is_written(text):
    assert plain(document(f"a: {text}")) == {"a": None}


@pytest.mark.parametrize("text", ['"null"', "'~'", "!!str null", '""'])
def test_a_quoted_null_is_a_text(text):
    assert isinstance(plain(document(f"a: {text}"))["a"], str)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "~"])
def test_an_empty_document_is_null(text):
    assert plain(document(text)) is None


def test_a_key_set_twice_is_told_with_both_lines():
    assert fault("a:\n  b:\n    - c: 1\n      d: 2\n      c: 3\n") == "f:5:7: a.b[0].c: set twice, first in line 3"


def test_a_second_document_is_refused():
    assert fault("a: 1\n---\nb: 2\n") == "f:2:1: a second document begins here. Keep one function in a file"


def test_a_list_is_no_key():
    assert fault("? [a, b]\n: c\n") == "f:1:3: a list or a mapping can't be a key"


def test_a_mapping_is_no_key_through_an_alias_either():
    assert fault("a: &x {b: c}\n*x : d\n") == "f:2:1: a list or a mapping can't be a key"


def test_an_alias_is_what_it_refers_to():
    assert plain(document("a: &x [1, 2]\nb: *x\nc: &k key\n*k : v\n")) == {
        "a": ["1", "2"],
        "b": ["1", "2"],
        "c": "key",
        "key": "v",
    }


def test_a_key_may_have_an_anchor():
    assert plain(document("&k a: 1\nb: *k\n")) == {"a": "1", "b": "a"}


def test_a_merge_adds_what_the_mapping_does_not_say_itself():
    text = "one: &one {a: 1, b: 1}\ntwo: &two {b: 2, c: 2}\nall:\n  c: own\n  <<: [*one, *two]\n"
    assert plain(document(text))["all"] == {"c": "own", "a": "1", "b": "1"}


def test_a_quoted_merge_key_is_a_key():
    assert plain(document('"<<": x')) == {"<<": "x"}


def test_a_merge_of_a_text_is_a_fault():
    assert "<< needs a mapping" in fault("a:\n  <<: x\n")


def test_an_alias_within_what_it_refers_to_is_refused():
    assert fault("a: &x\n  b: *x\n") == "f:2:6: an alias stands within what it refers to"


def test_an_alias_without_an_anchor_is_told_without_its_name():
    assert fault("secret_key: *hunter2\n") == "f:1:13: an alias without an anchor. Quote a text that begins with *"


def test_a_tag_is_refused_without_its_name():
    assert fault("secret_key: !hunter2\n") == (
        "f:1:13: a YAML tag that has no meaning here. Quote a text that begins with !"
    )


def test_an_unknown_tag_handle_is_told_without_its_name():
    assert "hunter2" not in fault("secret_key: !hunter2!x y\n")


def test_a_few_aliases_that_stand_for_very_many_values_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20)]
    assert fault("\n".join(lines)).endswith("more than 100000 values")


def test_very_many_values_are_refused():
    assert fault("[" + "a," * 100_001 + "]").endswith("more than 100000 values")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "], ids=["list", "mapping", "block", "key"])
def test_deep_nesting_is_refused_as_soon_as_it_is_seen(opening):
    message = fault(opening * 200_000)
    # libyaml 0.2.6 and newer count for themselves, and see a list's opening brackets before we do.
    assert any(text in message for text in ("nested deeper than 64 levels", "can't be a key", "maximum nesting depth"))


def test_sixty_levels_are_fine():
    assert plain(document("[" * 60 + "]" * 60))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: b\nc: d: e\n", "f:2:5"),
        ("a: [1, 2\n", "f:2:1"),
        ('a: "never closed\n', "f:2:1"),
        ("a: @b\n", "f:1:4"),
        ("a: 1\n b: 2\n", "f:2:3"),
        ("a: \x01\n", "f:1:4"),
        ("ä: b\nc: ö\x07", "f:2:5"),
    ],
)
def test_a_syntax_fault_is_one_line_with_its_place(text, place, both_parsers):
    message = fault(text)
    assert "\n" not in message
    assert message.startswith(f"{place}: not valid YAML: ")


def test_a_tab_is_named():
    assert fault("a:\n\tb: c\n").endswith("Indent with blanks, not with tabs")


def test_an_escape_beyond_unicode_is_a_fault():
    assert "not valid YAML" in fault('a: "\\UFFFFFFFF"\n')


def test_half_a_surrogate_pair_is_a_fault():
    assert "not valid YAML" in fault('a: "\\ud800"\n')
