"""Credentials that Kubernetes mounts as files."""

from __future__ import annotations

import os

import pytest

MINIO = "storage_providers: {minio: {default: {access_key: from-file, secret_key: from-file}}}\n"


def minio(read, text=""):
    return read(text).providers["minio.default"].settings


@pytest.mark.parametrize("name", ["secretKey", "secret_key", "SECRET_KEY", "SecretKey"])
def test_file_names_are_in_camel_case_or_snake_case(read, name):
    read.mount("minio.default", accessKey="a", **{name: "mounted"})
    assert minio(read).secret_key.reveal() == "mounted"


def test_any_setting_of_any_type_can_be_mounted(read):
    read.mount("odd.x", port="8080", scopes="openid", engine="sdk")
    settings = read("").providers["odd.x"].settings
    assert (settings.port, settings.scopes, settings.engine) == (8080, ("openid",), "sdk")


def test_a_folder_of_another_id_is_a_provider_of_its_own(read):
    read.mount("minio.default", accessKey="a", secretKey="b")
    read.mount("minio.other.cluster", accessKey="c", secretKey="d")
    assert list(read("").providers) == ["minio.default", "minio.other.cluster"]


def test_a_folder_named_after_a_type_alone_is_the_default(read):
    read.mount("Minio", accessKey="a", secretKey="b")
    assert minio(read).access_key.reveal() == "a"


def test_two_folders_for_one_provider_add_up(read):
    read.mount("minio", accessKey="a")
    read.mount("minio.default", secretKey="b")
    assert (minio(read).access_key.reveal(), minio(read).secret_key.reveal()) == ("a", "b")


def test_the_layout_of_kubernetes_is_understood(read):
    folder = read.mount("minio.default")
    data = folder / "..2026_01_01_00_00_00.123456789"
    data.mkdir()
    (data / "accessKey").write_text("a")
    (data / "secretKey").write_text("b")
    (folder / "..data").symlink_to(data.name)
    (folder / "accessKey").symlink_to("..data/accessKey")
    (folder / "secretKey").symlink_to("..data/secretKey")
    function = read("")
    assert function.providers["minio.default"].settings.secret_key.reveal() == "b"
    assert function.warnings == ()


@pytest.mark.parametrize(
    ("content", "value"),
    [("x\n", "x"), ("x\r\n", "x"), ("x\n\n", "x\n"), (" x ", " x "), ("x \n", "x "), ("x\r", "x\r"), ("a\nb", "a\nb")],
)
def test_one_newline_at_the_end_is_left_out_and_blanks_are_kept(read, content, value):
    folder = read.mount("minio.default", accessKey="a")
    (folder / "secretKey").write_bytes(content.encode())
    assert minio(read).secret_key.reveal() == value


def test_mounted_files_go_before_the_file(read):
    read.mount("minio.default", secretKey="mounted")
    settings = minio(read, MINIO)
    assert (settings.access_key.reveal(), settings.secret_key.reveal()) == ("from-file", "mounted")


def test_a_file_that_sets_nothing_is_a_warning(read):
    folder = read.mount("minio.default", accessKey="a", secretKey="b", secrtKey="hunter2")
    warning = f'{folder}/secrtKey: sets nothing of minio.default. Did you mean "secret_key"?'
    assert read("").warnings == (warning,)


def test_a_second_file_for_the_same_setting_is_a_warning(read):
    folder = read.mount("minio.default", accessKey="a", secretKey="b", secret_key="c")
    function = read("")
    assert function.warnings == (
        f"{folder}/secret_key: is ignored: {folder}/secretKey sets secret_key of minio.default already",
    )
    assert function.providers["minio.default"].settings.secret_key.reveal() == "b"


def test_a_folder_that_no_provider_can_be_named_after_is_a_warning(read):
    folder = read.mount("minio default")
    assert read("").warnings == (f"{folder}: is not named type.id and is ignored",)


def test_a_file_beside_the_folders_is_a_warning(read):
    read.mount("s3.x")
    (read.secrets_dir / "README").write_text("x")
    assert read("").warnings == (f"{read.secrets_dir}/README: is not a folder and is ignored",)


def test_the_folder_need_not_be_there(read):
    assert read("").providers == {}


@pytest.mark.parametrize(
    ("content", "fault"),
    [(b"\xff", "is not UTF-8"), (b"x" * (64 * 1024 + 1), "is larger than 64 KiB")],
    ids=["not UTF-8", "large"],
)
def test_a_file_that_is_no_credential_is_a_fault_that_names_it(read, content, fault):
    folder = read.mount("minio.default", accessKey="a")
    (folder / "secretKey").write_bytes(content)
    assert f"{folder}/secretKey: {fault}" in [found.strip() for found in read.faults("")]


def test_a_file_that_can_not_be_opened_is_a_fault_that_names_it(read):
    folder = read.mount("minio.default", accessKey="a")
    (folder / "secretKey").symlink_to("..data/secretKey")
    assert read.faults("") == (f"{folder}/secretKey: can't be read: No such file or directory",)


def test_a_folder_that_can_not_be_listed_is_a_fault_that_names_it(read):
    read.secrets_dir.mkdir()
    (read.secrets_dir / "minio.default").symlink_to("minio.default")
    (fault,) = read.faults("")
    assert fault == f"{read.secrets_dir}/minio.default: can't be read: Too many levels of symbolic links"


def test_a_pipe_is_a_fault_and_not_waited_for(read):
    folder = read.mount("minio.default", accessKey="a")
    os.mkfifo(folder / "secretKey")
    assert read.faults("") == (f"{folder}/secretKey: is not a file",)


def test_a_folder_in_place_of_a_file_is_a_fault(read):
    folder = read.mount("minio.default", accessKey="a")
    (folder / "secretKey").mkdir()
    assert read.faults("") == (f"{folder}/secretKey: can't be read: Is a directory",)


def test_a_mounted_value_that_will_not_do_is_told_by_its_file(read):
    folder = read.mount("odd.x", port="many")
    assert read.faults("") == (f'{folder}/port: storage_providers.odd.x.port: must be a whole number, not "many"',)


def test_a_mounted_secret_that_is_missing_names_its_folder(read):
    read.mount("webdav.x", login="l", password="p")
    assert read.faults("") == (f"{read.secrets_dir}/webdav.x: storage_providers.webdav.x.hostname: is not set",)
