"""A secret shows itself nowhere: not as an object, not in any text that passes the mask."""

from __future__ import annotations

import base64
import copy
import json
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from faas_supervisor import secrets
from faas_supervisor.secrets import MASKED, Secret, mask, masked, remember

VALUE = 'p@ss/w"rd+9\\&é'

any_text = st.text(st.characters(codec=None))
secret_values = st.text(st.characters(codec="utf-8"), min_size=8, max_size=60)


@contextmanager
def nothing_else_known():
    """Forget what earlier examples of a property made known."""
    secrets._known.clear()
    yield


@dataclass(frozen=True)
class Settings:
    user: str
    key: Secret


class TestTheTypeItself:
    @pytest.mark.parametrize(
        "shown",
        [
            repr,
            str,
            ascii,
            lambda secret: f"{secret}",
            lambda secret: f"{secret!r}",
            lambda secret: f"{secret:>3}",
            lambda secret: "%s" % secret,  # noqa: UP031
            lambda secret: json.dumps(secret, default=str),
            lambda secret: repr([secret]).strip("[]"),
            lambda secret: repr(copy.deepcopy(secret)),
        ],
        ids=["repr", "str", "ascii", "f", "f!r", "f:spec", "percent", "json", "list", "copy"],
    )
    def test_it_shows_three_stars_however_it_is_printed(self, shown):
        assert shown(Secret(VALUE)).strip('"') == MASKED

    def test_a_format_specification_still_aligns(self):
        assert f"{Secret(VALUE):>6}" == "   ***"

    def test_a_dataclass_that_holds_it_shows_only_the_rest(self):
        assert repr(Settings("me", Secret(VALUE))) == "Settings(user='me', key=***)"

    def test_json_refuses_it_without_showing_it(self):
        with pytest.raises(TypeError) as caught:
            json.dumps(Secret(VALUE))
        assert VALUE not in str(caught.value)

    def test_an_exception_about_it_does_not_show_it(self):
        error = ValueError("bad", Secret(VALUE))
        assert VALUE not in "".join(traceback.format_exception(error))

    def test_it_reveals_its_value_when_asked(self):
        assert Secret(VALUE).reveal() == VALUE

    def test_equal_values_are_equal_secrets_with_one_hash(self):
        assert Secret(VALUE) == Secret(VALUE)
        assert hash(Secret(VALUE)) == hash(Secret(VALUE))
        assert Secret(VALUE) != Secret("another")

    def test_it_is_not_equal_to_its_own_text(self):
        assert Secret(VALUE) != VALUE

    def test_an_empty_one_is_false(self):
        assert not Secret("")
        assert Secret(VALUE)

    def test_it_has_no_dict_to_look_into(self):
        assert not hasattr(Secret(VALUE), "__dict__")

    @pytest.mark.parametrize("value", ["\ud800" * 8, "a\0b\0c\0d\0", "key\udcff"], ids=ascii)
    def test_any_text_can_be_one(self, value):
        Secret(value)
        assert value not in mask(f"<{value}>")


class TestForms:
    @pytest.mark.parametrize(
        "form",
        [
            VALUE,
            quote(VALUE),
            quote(VALUE, safe=""),
            quote_plus(VALUE),
            base64.b64encode(VALUE.encode()).decode(),
            base64.urlsafe_b64encode(VALUE.encode()).decode(),
            json.dumps(VALUE)[1:-1],
            json.dumps(VALUE, ensure_ascii=False)[1:-1],
            repr(VALUE)[1:-1],
        ],
        ids=["plain", "quote", "quote-all", "quote-plus", "base64", "base64-url", "json", "json-unicode", "repr"],
    )
    def test_the_mask_hides_every_form_of_a_secret(self, form):
        Secret(VALUE)
        assert mask(f"before {form} after") == "before *** after"

    def test_every_occurrence_is_hidden(self):
        Secret("open sesame")
        assert mask("open sesame, open sesame") == "***, ***"

    def test_a_secret_that_holds_another_is_hidden_whole(self):
        Secret("abcdef")
        Secret("abcdefghij")
        assert mask("abcdefghij") == MASKED

    def test_three_characters_blot_nothing_out(self):
        Secret("the")
        assert mask("the other") == "the other"

    def test_a_line_break_in_a_secret_does_not_show_it_escaped(self):
        key = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\n-----END KEY-----\n"
        Secret(key)
        assert "MIIEpA" not in mask(f"{key!r} {json.dumps(key)} {key}")

    @given(value=secret_values, before=any_text, after=any_text)
    def test_a_value_never_survives_in_any_text(self, value, before, after):
        with nothing_else_known():
            assume(value not in f"{before}{MASKED}{after}")
            Secret(value)
            assert value not in mask(before + value + after)

    @given(value=secret_values)
    def test_no_url_quoted_form_survives(self, value):
        with nothing_else_known():
            Secret(value)
            assume("*" not in value)
            for form in (quote(value), quote(value, safe=""), quote_plus(value)):
                assert form not in mask(f"https://store/?key={form}&more")


class TestBase64OfALongerText:
    @given(value=secret_values, before=st.binary(max_size=40), after=st.binary(max_size=40))
    @example(value="12345678", before=b"", after=b"")
    @example(value="12345678", before=b"a", after=b"b")
    @example(value="123456789", before=b"user:", after=b"\n")
    @example(value="12345678", before=b"ab", after=b"::::::")
    @example(value="1234567890", before=b"", after=b"::::::")
    def test_nothing_of_the_secret_but_a_rest_of_a_byte_at_either_end_remains(self, value, before, after):
        """One of four characters carries bits of two bytes; what is the secret's alone must be gone."""
        raw = value.encode()
        encoded = base64.b64encode(before + raw + after).decode().rstrip("=")
        first = -(-len(before) * 8 // 6)
        last = (len(before) + len(raw)) * 8 // 6
        with nothing_else_known():
            Secret(value)
            assert encoded[first:last] not in mask(encoded)
            assert encoded[first:last] == "" or mask(encoded).count("*") >= 3

    def test_the_url_safe_alphabet_is_known_as_well(self):
        value = "\xff\xfe\xfb\xef\xbe\xff??>>"
        Secret(value)
        seen = mask(base64.urlsafe_b64encode(b"x" + value.encode() + b"y").decode())
        assert len(seen) < 8


class TestUrls:
    @pytest.mark.parametrize(
        "parameter",
        ["X-Amz-Signature", "x-amz-credential", "X-Amz-Security-Token", "Signature", "authz", "access_token"],
    )
    @pytest.mark.parametrize("sign", ["?", "&"], ids=["first", "later"])
    def test_a_signed_parameter_loses_its_value(self, parameter, sign):
        url = f"https://store/key?a=b{sign}{parameter}=AbC%2F123.-_~&next=1"
        assert mask(url) == f"https://store/key?a=b{sign}{parameter}=***&next=1"

    @pytest.mark.parametrize(
        "user_info", ["user:word", ":word", "token", "user:", "user:p@ss", "us%40er:p%2Fss", "user:pa:ss"]
    )
    @pytest.mark.parametrize("scheme", ["https", "redis", "git+ssh"])
    def test_who_signs_in_is_cut_out(self, scheme, user_info):
        assert mask(f"cannot reach {scheme}://{user_info}@host:1/x: no") == f"cannot reach {scheme}://***@host:1/x: no"

    @pytest.mark.parametrize(
        "text",
        [
            "https://host/a@b",
            "https://host?mail=a@b",
            "https://host:9000/bucket",
            "write to me@example.org, see https://example.org",
            '"https://host" and "me@example.org"',
            "a=b",
        ],
    )
    def test_other_text_stays_as_it_is(self, text):
        assert mask(text) == text


class TestAnyText:
    @given(any_text)
    def test_the_mask_takes_any_text(self, text):
        assert isinstance(mask(text), str)

    @given(any_text, any_text)
    def test_any_text_may_be_remembered(self, value, text):
        with nothing_else_known():
            remember(value)
            mask(text + value)

    def test_a_long_hostile_text_takes_no_long_time(self):
        """Quadratic time would be minutes here."""
        text = "a." * 500_000 + "://" * 100_000 + "=" + "?authz=" * 100_000
        assert len(mask(text)) > 0


class TestDocuments:
    def test_the_values_of_a_document_are_masked_and_its_shape_is_kept(self):
        for word in ("status", "null", "1234", "true"):
            Secret(word)
        document = {"status": "is 1234", "failure": None, "n": [12345, True, {"deep": ("null", 1.5)}]}
        assert masked(document) == {"status": "is ***", "failure": None, "n": [12345, True, {"deep": ["***", 1.5]}]}

    def test_what_json_does_not_know_is_shown_as_masked_text(self):
        Secret(VALUE)
        assert masked({"error": ValueError(f"no {VALUE}")}) == {"error": "no ***"}
