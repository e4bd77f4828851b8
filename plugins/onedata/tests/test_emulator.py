"""The emulator answers as the sources of Onedata say; seen by plain HTTP, not through our own provider."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import pytest


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.document["error"]


@pytest.fixture
def space(onedata):
    return onedata.add_space("data", onedata.add_provider("krakow"))


@pytest.fixture
def ask(onedata, space):
    """Send one request to the Oneprovider and the Onezone, without TLS."""
    connection = http.client.HTTPConnection(urlsplit(onedata.open_front(onedata.providers[0])).netloc, timeout=10)
    token = onedata.add_token()

    def send(method, target, body=None, **headers):
        if isinstance(body, dict):
            body = json.dumps(body)
        elif body is not None:
            headers["Content-Type"] = "application/octet-stream"
        given = {"X-Auth-Token": token, **{name.replace("_", "-"): value for name, value in headers.items()}}
        service = "" if target.startswith("/api") else "/api/v3/oneprovider"
        connection.request(method, service + target, body, {name: value for name, value in given.items() if value})
        got = connection.getresponse()
        return Answer(got.status, dict(got.getheaders()), got.read())

    yield send
    connection.close()


@pytest.fixture
def file(ask, space):
    """The id of a file `folder/file` with ten bytes in it."""
    made = ask("PUT", f"/data/{space.id}/path/folder/file?type=REG&create_parents=true", b"")
    id_ = made.document["fileId"]
    assert made.status == 201
    assert made.headers["Location"].endswith(f"/data/{id_}")
    assert ask("PUT", f"/data/{id_}/content", b"0123456789").status == 204
    return id_


def test_a_path_leads_to_an_id(ask, space, file):
    assert ask("POST", f"/lookup-file-id/data@{space.id}/folder/file").document == {"fileId": file}
    assert ask("POST", f"/lookup-file-id/data@{space.id}").document == {"fileId": space.id}


def test_a_get_with_a_body_names_the_attributes(ask, file):
    asked = {"attributes": ["name", "type", "size"]}
    assert ask("GET", f"/data/{file}", asked).document == {"name": "file", "type": "REG", "size": 10}
    assert ask("GET", f"/data/{file}").document["posixPermissions"] == "664"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=2-4", (206, b"234", "bytes 2-4/10")),
        ("bytes=8-", (206, b"89", "bytes 8-9/10")),
        ("bytes=8-99", (206, b"89", "bytes 8-9/10")),
        ("bytes=10-12", (416, b"", "bytes */10")),
        (None, (200, b"0123456789", None)),
    ],
)
def test_a_range_is_a_part_of_the_content(ask, file, asked, expected):
    got = ask("GET", f"/data/{file}/content", Range=asked)
    assert (got.status, got.body, got.headers.get("Content-Range")) == expected


def test_a_content_without_offset_empties_the_file_and_one_with_offset_does_not(ask, file):
    ask("PUT", f"/data/{file}/content?offset=2", b"xx")
    assert ask("GET", f"/data/{file}/content").body == b"01xx456789"
    ask("PUT", f"/data/{file}/content", b"yy")
    assert ask("GET", f"/data/{file}/content").body == b"yy"


def test_a_folder_is_listed_by_pages(ask, space):
    for n in range(25):
        ask("PUT", f"/data/{space.id}/path/many/{n:02}?type=REG&create_parents=true", b"")
    folder = ask("POST", f"/lookup-file-id/data@{space.id}/many").document["fileId"]
    names, token = [], ""
    while token is not None:
        page = ask("GET", f"/data/{folder}/children?limit=1000{token}", {"attributes": ["name"]}).document
        names += [child["name"] for child in page["children"]]
        assert page["isLast"] == (page["nextPageToken"] is None)
        token = None if page["isLast"] else "&token=" + quote(page["nextPageToken"], safe="")
    assert names == [f"{n:02}" for n in range(25)]


def test_a_page_token_that_was_not_quoted_is_refused(ask, space):
    for n in range(11):
        ask("PUT", f"/data/{space.id}/path/{n}?type=REG", b"")
    token = ask("GET", f"/data/{space.id}/children").document["nextPageToken"]
    assert ask("GET", f"/data/{space.id}/children?token={token}").status == 400


def test_removing_a_folder_removes_what_is_in_it(ask, space, file):
    folder = ask("POST", f"/lookup-file-id/data@{space.id}/folder").document["fileId"]
    assert ask("DELETE", f"/data/{folder}").status == 204
    assert ask("GET", f"/data/{file}").error["details"] == {"errno": "enoent"}


def test_the_content_of_a_folder_is_somewhere_else(ask, space):
    assert ask("GET", f"/data/{space.id}/content").status == 302


@pytest.mark.parametrize(
    ("request_line", "errno"),
    [
        ("POST /lookup-file-id/data@{space}/missing", "enoent"),
        ("POST /lookup-file-id/data@{space}/folder/file/below", "enotdir"),
        ("POST /lookup-file-id/other@0123/file", "enoent"),
        ("GET /data/0123", "enoent"),
        ("GET /data/{file}/children", "enotdir"),
        ("PUT /data/{space}/content", "eisdir"),
        ("PUT /data/{space}/path/folder/file?type=REG", "eexist"),
        ("PUT /data/{space}/path/missing/file?type=REG&create_parents=false", "enoent"),
        ("PUT /data/{space}/path/folder/file/below?type=REG&create_parents=true", "enotdir"),
        ("DELETE /data/{space}", "eperm"),
    ],
)
def test_a_posix_error_has_the_status_400(ask, space, file, request_line, errno):
    method, target = request_line.split()
    got = ask(method, target.format(space=space.id, file=file), b"" if method == "PUT" else None)
    assert (got.status, got.error["id"], got.error["details"]) == (400, "posix", {"errno": errno})


def test_other_errors_have_a_status_and_an_id(onedata, ask, space):
    unsupported = onedata.add_space("unsupported")
    assert ask("GET", f"/data/{unsupported.id}").error["id"] == "spaceNotSupportedBy"
    assert ask("GET", "/nothing").status == 404
    assert ask("GET", f"/data/{space.id}/metadata").status == 404
    assert ask("GET", f"/data/{space.id}", X_Auth_Token="unknown").status == 401
    assert ask("GET", f"/data/{space.id}", X_Auth_Token=onedata.add_token(forbidden=True)).status == 403
    readonly = onedata.add_token(readonly=True)
    refused = ask("PUT", f"/data/{space.id}/path/new?type=REG", b"", X_Auth_Token=readonly)
    assert refused.error["details"] == {"errno": "eacces"}


def test_a_bearer_token_does_as_well(onedata, ask, space):
    got = ask("GET", f"/data/{space.id}", X_Auth_Token=None, Authorization=f"Bearer {onedata.add_token()}")
    assert got.status == 200


def test_the_onezone_tells_what_a_token_allows(onedata, ask, space):
    other = onedata.add_space("other", onedata.providers[0])
    url = "/api/v3/onezone/tokens/infer_access_token_scope"
    token = onedata.add_token(spaces=(other,), readonly=True)
    scope = ask("POST", url, {"token": token}, X_Auth_Token=None).document["dataAccessScope"]
    assert scope["readonly"] is True
    assert scope["spaces"] == {other.id: {"name": "other", "supports": {onedata.providers[0].id: {"readonly": False}}}}
    (provider,) = scope["providers"].values()
    assert (provider["name"], provider["version"], provider["online"]) == ("krakow", "21.02.8", True)
    assert ask("POST", url, {"token": "unknown"}).status == 401


def test_everybody_is_told_the_configuration(onedata, ask):
    told = ask("GET", "/configuration", X_Auth_Token=None).document
    assert told["onezoneDomain"] == onedata.zone_host
    assert ask("GET", "/api/v3/onezone/configuration", X_Auth_Token=None).document["version"] == "25.2"
