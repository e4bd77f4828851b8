"""Every failure has a name, a code and one line for a person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas_supervisor import errors
from faas_supervisor.errors import (
    AlreadyExists,
    AuthenticationFailed,
    Failure,
    InsufficientStorage,
    IntegrityError,
    InvalidConfiguration,
    InvalidPath,
    NotFound,
    PermissionDenied,
    StorageError,
    SupervisorError,
    Throttled,
    Unavailable,
    Unsupported,
    printable,
)

KINDS = [getattr(errors, name) for name in errors.__all__]
STORAGE_KINDS = [kind for kind in KINDS if isinstance(kind, type) and issubclass(kind, StorageError)]


class TestCodes:
    @pytest.mark.parametrize(
        ("failure", "code"),
        [
            ("usage", 2),
            ("internal", 110),
            ("configuration", 111),
            ("event", 112),
            ("plugin", 113),
            ("credentials", 114),
            ("input_missing", 115),
            ("storage_unavailable", 116),
            ("integrity", 117),
            ("no_space", 118),
            ("output", 119),
            ("time_limit", 124),
            ("not_executable", 126),
            ("interpreter_missing", 127),
            ("memory_limit", 137),
            ("terminated", 143),
        ],
    )
    def test_a_failure_has_the_code_of_the_table(self, failure, code):
        assert Failure(failure).exit_code == code

    def test_every_failure_has_a_code(self):
        assert all(failure.exit_code > 0 for failure in Failure)

    def test_only_what_may_pass_by_itself_is_worth_another_invocation(self):
        assert {failure.value for failure in Failure if failure.again} == {
            "storage_unavailable",
            "integrity",
            "terminated",
        }


class TestStorageErrors:
    @pytest.mark.parametrize(
        ("kind", "stage_in", "stage_out"),
        [
            (StorageError, Failure.STORAGE_UNAVAILABLE, Failure.OUTPUT),
            (NotFound, Failure.INPUT_MISSING, Failure.OUTPUT),
            (PermissionDenied, Failure.CREDENTIALS, Failure.CREDENTIALS),
            (AuthenticationFailed, Failure.CREDENTIALS, Failure.CREDENTIALS),
            (AlreadyExists, Failure.OUTPUT, Failure.OUTPUT),
            (InsufficientStorage, Failure.NO_SPACE, Failure.NO_SPACE),
            (InvalidConfiguration, Failure.CONFIGURATION, Failure.CONFIGURATION),
            (InvalidPath, Failure.EVENT, Failure.OUTPUT),
            (Unsupported, Failure.STORAGE_UNAVAILABLE, Failure.OUTPUT),
            (IntegrityError, Failure.INTEGRITY, Failure.INTEGRITY),
            (Throttled, Failure.STORAGE_UNAVAILABLE, Failure.STORAGE_UNAVAILABLE),
            (Unavailable, Failure.STORAGE_UNAVAILABLE, Failure.STORAGE_UNAVAILABLE),
        ],
    )
    def test_the_failure_depends_on_the_way_of_the_file(self, kind, stage_in, stage_out):
        def failure(phase):
            return kind("no").located(provider="a.b", path="p", phase=phase).failure

        assert (failure("stage in"), failure("stage out")) == (stage_in, stage_out)

    def test_the_table_above_names_every_kind(self):
        assert len(STORAGE_KINDS) == 12

    def test_one_that_was_located_on_the_way_out_does_not_change_the_others(self):
        NotFound("no").located(provider="a.b", path="p", phase="stage out")
        assert NotFound("no").failure is Failure.INPUT_MISSING

    @pytest.mark.parametrize("kind", STORAGE_KINDS)
    def test_three_kinds_are_worth_another_try(self, kind):
        assert kind("no").retryable is (kind in {IntegrityError, Throttled, Unavailable})

    def test_a_plugin_may_say_otherwise(self):
        assert StorageError("no", retryable=True).retryable
        assert not Unavailable("no", retryable=False).retryable

    def test_the_sentence_names_everything(self):
        error = NotFound("there is no such object", endpoint="https://host:9000", hint="look again")
        error.located(provider="minio.default", path="bucket/key", phase="stage in")
        assert str(error) == (
            "not found: minio.default bucket/key at https://host:9000 during stage in: "
            "there is no such object — look again"
        )

    def test_what_the_plugin_said_stays(self):
        error = NotFound("no", path="its/own", provider="its.name").located(provider="a.b", path="p", phase="x")
        assert (error.provider, error.path) == ("its.name", "its/own")

    def test_a_path_with_line_breaks_stays_on_one_line(self):
        assert "\n" not in str(NotFound("no", path="a\nERROR - forged"))


def test_a_hint_follows_the_message():
    assert str(SupervisorError("it broke", hint="mend it")) == "it broke — mend it"
    assert str(SupervisorError("it broke")) == "it broke"


class TestPrintable:
    @given(st.text(st.characters(codec=None)))
    def test_any_text_becomes_one_visible_line(self, text):
        shown = printable(text)
        assert shown.isprintable()
        shown.encode()

    @pytest.mark.parametrize("text", ["plain", "naïve 日本 🎉", "a b", ""])
    def test_visible_text_stays_as_it_is(self, text):
        assert printable(text) == text

    def test_bytes_that_are_not_utf8_are_visible(self):
        assert printable("a\udcff\n\x1b[31m") == "a\\udcff\\n\\x1b[31m"
