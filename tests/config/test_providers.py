"""The settings of providers: kinds of values, where they come from, what is missing."""

from __future__ import annotations

import pytest

from faas_supervisor.config import Provider, faults_of

MINIO = "storage_providers: {minio: {default: {access_key: a-key, secret_key: a-secret}}}\n"


def odd(read, setting):
    return read(f"storage_providers: {{odd: {{default: {{{setting}}}}}}}").providers["odd.default"].settings


@pytest.mark.parametrize(
    ("setting", "field", "value"),
    [
        ("port: 8080", "port", 8080),
        ("port: '8080'", "port", 8080),
        ("ratio: 1e-1", "ratio", 0.1),
        ("ratio: 2", "ratio", 2.0),
        ("engine: SDK", "engine", "sdk"),
        ("scopes: [openid, 1]", "scopes", ("openid", "1")),
        ("scopes: openid", "scopes", ("openid",)),
        ("size: 3", "size", 3),
        ("size: ", "size", None),
        ("port: ''", "port", 443),
    ],
)
def test_a_setting_has_the_type_that_its_plugin_declares(read, setting, field, value):
    assert getattr(odd(read, setting), field) == value


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("port: x", '1:43: storage_providers.odd.default.port: must be a whole number, not "x"'),
        ("ratio: nan", '1:44: storage_providers.odd.default.ratio: must be a number, not "nan"'),
        ("engine: slow", '1:45: storage_providers.odd.default.engine: must be fast or sdk, not "slow"'),
        ("scopes: {a: b}", "1:45: storage_providers.odd.default.scopes: must be a list of texts, not a mapping"),
        ("size: [1]", "1:43: storage_providers.odd.default.size: must be a whole number, not a list"),
        ("prot: 1", '1:37: storage_providers.odd.default.prot: unknown key. Did you mean "port"?'),
        ("colour: red", "1:37: storage_providers.odd.default.colour: unknown key"),
        ("prot: ", '1:37: storage_providers.odd.default.prot: unknown key. Did you mean "port"?'),
    ],
)
def test_a_setting_that_will_not_do_is_told_with_its_place(read, setting, fault):
    assert read.faults(f"storage_providers: {{odd: {{default: {{{setting}}}}}}}") == (fault,)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("acces_key", "access_key"), ("accessKey", "access_key"), ("SECRET_KEY", None), ("secret", "secret_key")],
)
def test_a_slip_in_a_key_gets_a_suggestion(read, written, meant):
    (fault,) = read.faults(MINIO.replace("}}}", f", {written}: x}}}}}}"))
    assert fault.endswith(f'unknown key. Did you mean "{meant}"?' if meant else "unknown key")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("storage_providers: [minio]", "1:20: storage_providers: must be a mapping, not a list"),
        ("storage_providers: {minio: x}", "1:28: storage_providers.minio: must be a mapping, not text"),
        (
            "storage_providers: {minio: {access_key: x}}",
            "1:41: storage_providers.minio.access_key: must be a mapping, not text",
        ),
        (
            "storage_providers: {s3: {a/b: {}}}",
            "1:26: storage_providers.s3.a/b: no provider can have this name",
        ),
    ],
)
def test_a_section_of_another_shape_is_told(read, text, fault):
    (found,) = [found for found in read.faults(text) if found.startswith(fault)]
    assert found in (fault, f"{fault}. Settings stand in storage_providers.<type>.<id>.<setting>")


@pytest.mark.parametrize("text", ["storage_providers:", "storage_providers: {}", "storage_providers: {s3: }", ""])
def test_nothing_configured_is_no_provider(read, text):
    assert read(text).providers == {}


def test_a_provider_without_settings_is_configured_with_defaults(read):
    provider = read("storage_providers: {s3: {mine: }}").providers["s3.mine"]
    assert provider.settings.region is None
    assert not provider.implied


def test_the_case_of_a_type_does_not_matter(read):
    function = read("storage_providers: {S3: {Mine: {region: x}}}\ninput: [{storage_provider: S3.Mine, path: a}]")
    assert function.inputs[0].provider == "s3.Mine"
    assert list(function.providers) == ["s3.Mine"]


def test_the_same_provider_in_two_spellings_is_a_fault(read):
    faults = read.faults("storage_providers:\n  s3: {a: }\n  S3: {a: }\n")
    assert faults == ("3:8: storage_providers.S3.a: s3.a is configured twice, first in line 2",)


def test_an_id_may_hold_dots(read):
    assert list(read("storage_providers: {s3: {my.site: }}").providers) == ["s3.my.site"]


def test_a_mounted_file_goes_before_the_file_before_a_variable_before_the_default(read):
    text = "storage_providers: {s3: {default: {region: from-file}}}"
    region = lambda: read(text).providers["s3.default"].settings.region  # noqa: E731
    read.environment["AWS_REGION"] = "from-variable"
    read.mount("s3.default", region="from-secret")
    assert region() == "from-secret"
    (read.secrets_dir / "s3.default" / "region").unlink()
    assert region() == "from-file"
    text = "storage_providers: {s3: {default: {region: }}}"
    assert region() == "from-variable"
    read.environment.clear()
    assert region() is None


def test_an_empty_value_lets_the_next_source_speak(read):
    read.mount("s3.default", region="")
    read.environment["AWS_REGION"] = "from-variable"
    settings = read("storage_providers: {s3: {default: {region: ''}}}").providers["s3.default"].settings
    assert settings.region == "from-variable"


def test_a_missing_credential_is_noted_not_raised(read):
    provider = read("storage_providers: {minio: {default: {access_key: '', region: x}}}").providers["minio.default"]
    folder = read.secrets_dir / "minio.default"
    assert provider.settings is None
    section = "storage_providers.minio.default"
    assert provider.missing == (
        f"minio.default: access_key is not set: mount {folder}/accessKey or set {section}.access_key",
        f"minio.default: secret_key is not set: mount {folder}/secretKey or set {section}.secret_key",
    )


def test_a_text_can_be_a_credential_too_and_its_variable_is_named(read):
    text = "storage_providers: {webdav: {x: {hostname: h, password: p}}}"
    (sentence,) = read(text).providers["webdav.x"].missing
    assert sentence.startswith("webdav.x: login is not set: mount ")
    assert sentence.endswith(" or the variable WEBDAV_LOGIN")
    read.environment["WEBDAV_LOGIN"] = "me"
    assert read(text).providers["webdav.x"].settings.login == "me"


def test_another_setting_that_is_missing_is_a_fault(read):
    faults = read.faults("storage_providers:\n  webdav:\n    x: {login: l, password: p, hostname: ''}\n")
    assert faults == ("3:5: storage_providers.webdav.x.hostname: is not set",)


def test_a_provider_that_only_an_output_names_has_the_defaults_of_its_type(read):
    function = read("output: [{storage_provider: s3, path: a}]")
    assert function.providers["s3.default"].settings.region is None
    assert function.providers["s3.default"].implied
    assert function.warnings == ()
    assert faults_of(function) == ()


@pytest.mark.parametrize(
    "text",
    ["input: [{storage_provider: minio, path: a}]", "result: {storage_provider: minio, path: a}"],
    ids=["input", "result"],
)
def test_a_provider_that_is_only_mounted_and_named_is_complete(read, text):
    read.mount("minio.default", accessKey="a", secretKey="b")
    provider = read(text).providers["minio.default"]
    assert provider.settings.endpoint == "http://minio-service.minio:9000"
    assert not provider.implied


def test_a_provider_that_is_only_named_and_needs_settings_is_a_fault_where_it_is_named(read):
    faults = read.faults("output:\n- path: a\n  storage_provider: webdav\n")
    assert faults == ("3:21: storage_providers.webdav.default.hostname: is not set",)


def test_another_id_that_is_configured_nowhere_is_a_warning(read):
    function = read("output: [{storage_provider: s3.bakup, path: a}]\nstorage_providers: {s3: {backup: }}")
    (warning,) = function.warnings
    assert warning.startswith("function_config.yaml:1:29: output[0].storage_provider: s3.bakup is configured nowhere,")
    assert warning.endswith(' so the defaults of its type apply. Did you mean "s3.backup"?')
    assert len(faults_of(function)) == 1


def test_a_provider_without_its_plugin_is_kept_and_its_keys_are_not_checked(read):
    function = read("storage_providers: {onedta: {x: {whatever: [1]}}}")
    assert function.providers["onedta.x"] == Provider(
        "onedta.x",
        "onedta",
        unusable="no plugin is installed for provider type 'onedta' — pip install something",
    )
    assert len(faults_of(function)) == 1


def test_a_settings_class_that_nothing_can_be_bound_to_makes_its_provider_unusable(read):
    assert (
        "can't be read from a configuration"
        in read("storage_providers: {broken: {x: }}").providers["broken.x"].unusable
    )


def test_what_a_settings_class_refuses_is_a_fault(read):
    faults = read.faults("storage_providers: {webdav: {x: {hostname: https://u:pw@h, login: l, password: p}}}")
    assert faults == ("1:30: storage_providers.webdav.x: https://***@h holds a scheme. Leave out https://",)


@pytest.mark.parametrize(
    "value",
    ["[hunter2, x]", "{hunter2: x}", "!hunter2 x", "*hunter2", '"hunter2', "@hunter2", "[hunter2", "%hunter2: : b"],
)
def test_no_fault_tells_a_secret(read, value):
    faults = read.faults(f"storage_providers:\n  minio:\n    default:\n      secret_key: {value}\n")
    assert faults
    assert not any("hunter2" in fault for fault in faults)


def test_a_secret_of_the_wrong_kind_is_told_by_its_kind(read):
    (fault,) = read.faults(MINIO.replace("a-secret", "[1, 2]"))
    assert fault == "1:70: storage_providers.minio.default.secret_key: must be a secret text, not a list"


def test_a_secret_is_a_secret(read):
    provider = read(MINIO).providers["minio.default"]
    assert "a-secret" not in repr(provider)
    assert provider.settings.secret_key.reveal() == "a-secret"


def test_a_class_is_not_made_from_a_setting_that_will_not_do(read):
    faults = read.faults("storage_providers: {webdav: {x: {hostname: [h], login: l, password: p}}}")
    assert faults == ("1:44: storage_providers.webdav.x.hostname: must be text, not a list",)


def test_a_bad_variable_is_told_once_however_many_look_it_up(read):
    read.environment["AWS_REGION"] = "\udcff"
    assert read.faults("storage_providers: {s3: {a: , b: }}") == ("$AWS_REGION: is not UTF-8",)
