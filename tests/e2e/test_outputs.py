"""What the script wrote, and where it goes."""

from __future__ import annotations

import json

import pytest

from tests.e2e.support import encoded, event, fails, notification, record, succeeds

OUT = "bucket/out"


@pytest.fixture
def service(service):
    """A function with an input object and one output that takes everything."""
    service.put("bucket/in/a.txt", b"data")
    service.outputs(f"minio.default {OUT}")
    return service


def uploaded(service, folder=OUT, provider="minio.default"):
    """What is below `folder` now, by its path from there."""
    stored = service.stored(provider)
    return {path.removeprefix(f"{folder}/"): data for path, data in stored.items() if path.startswith(f"{folder}/")}


def run(service, script, **extra):
    service.script = script
    return service.run(event("bucket/in/a.txt"), **extra)


def test_folders_keep_their_shape(service):
    done = run(
        service, 'cd "$TMP_OUTPUT_DIR"; mkdir -p a/b/c empty; echo 1 > a/b/c/deep; echo 2 > a/b.txt; echo 3 > top'
    )

    succeeds(done, service)
    assert uploaded(service) == {"a/b/c/deep": b"1\n", "a/b.txt": b"2\n", "top": b"3\n"}
    assert sorted(entry["path"] for entry in done.result["outputs"]) == [
        f"{OUT}/{n}" for n in ("a/b.txt", "a/b/c/deep", "top")
    ]
    assert done.result["usage"]["output_bytes"] == 6


def test_a_thousand_small_files_arrive(service):
    done = run(service, 'for i in $(seq 1000); do echo $i > "$TMP_OUTPUT_DIR/$i"; done')

    succeeds(done, service)
    assert uploaded(service) == {str(i): b"%d\n" % i for i in range(1, 1001)}


class TestFilters:
    """A file goes where any prefix and any suffix fit its path."""

    FILES = "touch r.txt r.csv s.txt t; mkdir res; touch res/a.txt res/b.log"

    @pytest.mark.parametrize(
        ("filters", "names"),
        [
            pytest.param({}, {"r.txt", "r.csv", "s.txt", "t", "res/a.txt", "res/b.log"}, id="none"),
            pytest.param({"suffix": [".txt"]}, {"r.txt", "s.txt", "res/a.txt"}, id="suffix"),
            pytest.param({"prefix": ["r"]}, {"r.txt", "r.csv", "res/a.txt", "res/b.log"}, id="prefix"),
            pytest.param({"prefix": ["res/"]}, {"res/a.txt", "res/b.log"}, id="prefix with folder"),
            pytest.param(
                {"prefix": ["r", "t"], "suffix": ["csv", "t"]}, {"r.txt", "r.csv", "t", "res/a.txt"}, id="both"
            ),
        ],
    )
    def test_what_fits_is_uploaded(self, service, filters, names):
        service.outputs({"storage_provider": "minio.default", "path": OUT, **filters})

        done = run(service, f'cd "$TMP_OUTPUT_DIR"; {self.FILES}')

        succeeds(done, service)
        assert uploaded(service).keys() == names
        left = {"r.txt", "r.csv", "s.txt", "t", "res/a.txt", "res/b.log"} - names
        assert len([line for line in done.warnings if "matches no output" in line]) == len(left)

    def test_nothing_that_fits_is_a_visible_warning(self, service):
        service.outputs({"storage_provider": "minio.default", "path": OUT, "suffix": [".png"]})

        done = run(service, 'touch "$TMP_OUTPUT_DIR/a.txt"')

        succeeds(done, service)
        [warning] = [line for line in done.warnings if "0 files matched" in line]
        assert f"minio.default {OUT} (suffix .png)" in warning
        assert warning.removeprefix("bucket/in/a.txt: ") in done.result["warnings"]

    def test_nothing_that_fits_is_an_error_where_something_is_required(self, service):
        service.outputs({"storage_provider": "minio.default", "path": OUT, "suffix": [".png"], "required": True})

        done = run(service, ":")

        fails(done, service, 119, "output", f"minio.default {OUT} (suffix .png)", "required")

    def test_a_required_output_without_files_stops_neither_other_outputs_nor_other_records(self, service):
        required = {"storage_provider": "minio.default", "path": OUT, "suffix": [".png"], "required": True}
        service.outputs(required, f"minio.default {OUT}")
        service.config["result"] = {"storage_provider": "minio.default", "path": "bucket/results"}
        service.script = 'for i in 1 2 3; do touch "$TMP_OUTPUT_DIR/$(basename "$INPUT_FILE_PATH")-$i"; done'
        service.put("bucket/in/b.txt")

        done = service.run(notification(record("bucket/in/a.txt"), record("bucket/in/b.txt")))

        assert (done.code, done.result["failure"]) == (119, "output")
        assert [run["exit_code"] for run in done.result["runs"]] == [119, 119]
        assert uploaded(service).keys() == {f"{name}.txt-{i}" for name in "ab" for i in (1, 2, 3)}
        assert "bucket/results/a.txt.result.json" in service.stored()

    def test_several_outputs_and_providers_each_take_what_fits(self, service):
        service.provider("s3.archive")
        service.provider("minio.other")
        service.outputs(
            {"storage_provider": "minio", "path": OUT, "suffix": [".txt"]},
            {"storage_provider": "s3.archive", "path": "cold/all"},
            {"storage_provider": "minio.other", "path": "b/logs", "suffix": [".log"]},
        )

        done = run(service, 'cd "$TMP_OUTPUT_DIR"; touch a.txt b.log')

        succeeds(done, service)
        assert uploaded(service).keys() == {"a.txt"}
        assert service.stored("s3.archive").keys() == {"cold/all/a.txt", "cold/all/b.log"}
        assert service.stored("minio.other").keys() == {"b/logs/b.log"}


class TestOddNames:
    """Any name that the file system allows is uploaded, or an error names it; never a silent loss."""

    @pytest.mark.parametrize(
        "name",
        [
            " both ends ",
            "line\nfeed",
            "a#b?c%d",
            "100%",
            "a%2Fb",
            "naïve 中文 😀",
            "-n",
            "*",
            "a\\b",
            "'\"`$(id)",
            ".hidden",
            "n" * 255,
        ],
        ids=ascii,
    )
    def test_it_is_uploaded(self, service, name):
        done = run(
            service,
            f'cd "$TMP_OUTPUT_DIR"; printf %s {encoded(name)} | base64 -d > name; mv -- name "$(cat name)"',
        )

        succeeds(done, service)
        assert uploaded(service) == {name: name.encode()}

    def test_one_that_is_not_utf8_is_an_error_and_the_others_are_uploaded(self, service):
        done = run(service, 'cd "$TMP_OUTPUT_DIR"; touch good "$(printf "caf\\351")" also-good')

        fails(done, service, 119, "output", "caf\\udce9", "not valid UTF-8", "minio.default")
        assert uploaded(service).keys() == {"good", "also-good"}

    def test_one_that_the_store_cannot_take_is_an_error_and_the_others_are_uploaded(self, service):
        service.put(f"{OUT}/folder/file")

        done = run(service, 'cd "$TMP_OUTPUT_DIR"; touch folder good also-good')

        fails(done, service, 119, "output", f"minio.default {OUT}/folder", "already exists")
        assert uploaded(service).keys() == {"folder/file", "good", "also-good"}


class TestWhatIsNoFile:
    """Links are not followed out of the folder; what is no file is left out with a word."""

    def test_links_out_of_the_folder_are_refused(self, service):
        done = run(
            service, 'cd "$TMP_OUTPUT_DIR"; ln -s /etc/passwd p; ln -s /etc d; ln -s ../input/a.txt up; touch good'
        )

        succeeds(done, service)
        assert uploaded(service).keys() == {"good"}
        for name in ("p", "d", "up"):
            assert any(f"{name} is left out: it is a symbolic link out of" in line for line in done.result["warnings"])

    def test_links_within_the_folder_are_the_files_that_they_point_to(self, service):
        done = run(service, 'cd "$TMP_OUTPUT_DIR"; echo 1 > file; ln -s file link; ln file hard')

        succeeds(done, service)
        assert uploaded(service) == dict.fromkeys(("file", "link", "hard"), b"1\n")

    def test_links_to_nowhere_in_circles_and_to_folders_are_refused(self, service):
        done = run(service, 'cd "$TMP_OUTPUT_DIR"; ln -s nowhere n; ln -s loop loop; mkdir d; touch d/f; ln -s d dl')

        succeeds(done, service)
        assert uploaded(service).keys() == {"d/f"}
        assert len(done.result["warnings"]) == 3

    def test_fifos_and_sockets_are_refused(self, service):
        sockets = "import socket; socket.socket(socket.AF_UNIX).bind('s')"
        done = run(service, f'cd "$TMP_OUTPUT_DIR"; mkfifo f; python3 -c "{sockets}" && touch good')

        succeeds(done, service)
        assert uploaded(service).keys() == {"good"}
        assert any("f is left out: it is a FIFO" in line for line in done.result["warnings"])
        assert any("s is left out: it is a socket" in line for line in done.result["warnings"])

    def test_an_output_folder_that_is_gone_is_said_so(self, service):
        done = run(service, 'rm -r "$TMP_OUTPUT_DIR"')

        fails(done, service, 119, "output", "output folder")


class TestUploadOn:
    """Half results must not trigger the next function, unless somebody asks for them."""

    FAILING = 'echo half > "$TMP_OUTPUT_DIR/half"; exit 3'

    def test_a_failed_script_uploads_nothing(self, service):
        done = run(service, self.FAILING)

        fails(done, service, 3, "script", "status 3")
        assert uploaded(service) == {}
        assert any("not uploaded, since the script failed" in line for line in done.said("INFO"))

    def test_always_uploads_what_there_is_and_the_script_still_failed(self, service):
        service.config["upload_on"] = "always"

        done = run(service, self.FAILING)

        fails(done, service, 3, "script", "status 3")
        assert uploaded(service) == {"half": b"half\n"}


class TestIsolation:
    """`isolation_level: USER`: results go to the bucket of the user whose upload it was."""

    @pytest.mark.parametrize(
        ("level", "buckets", "found"),
        [
            ("USER", ["alice", "bob"], "alice/out"),
            ("USER", ["bob"], "service/out"),
            ("SERVICE", ["alice"], "service/out"),
        ],
    )
    def test_the_bucket_of_the_event_replaces_that_of_the_output(self, service, level, buckets, found):
        service.config |= {"isolation_level": level, "bucket_list": buckets}
        service.provider("s3.other")
        service.outputs("minio.default service/out", "s3.other service/out")
        service.put("alice/in/a.txt")

        done = service.run(event("alice/in/a.txt"))

        succeeds(done, service)
        assert uploaded(service, found).keys() == {"a.txt"}
        assert service.stored("s3.other").keys() == {"service/out/a.txt"}


class TestResultObject:
    """Whoever sees it knows that all outputs are there."""

    @pytest.fixture
    def service(self, service):
        service.config["result"] = {"storage_provider": "minio.default", "path": "bucket/results"}
        return service

    def test_it_names_the_outputs_and_comes_after_them(self, service):
        done = run(service, 'for i in 1 2 3; do echo $i > "$TMP_OUTPUT_DIR/$i"; done')

        succeeds(done, service)
        result = json.loads(service.stored()["bucket/results/a.txt.result.json"])
        assert result["status"] == "succeeded"
        assert sorted(entry["path"] for entry in result["outputs"]) == [f"{OUT}/{i}" for i in (1, 2, 3)]
        root = service.storage / "minio.default"
        written = (root / "bucket/results/a.txt.result.json").stat().st_mtime_ns
        assert all((root / OUT / name).stat().st_mtime_ns <= written for name in uploaded(service))

    def test_it_tells_of_a_failure_too(self, service):
        done = run(service, "exit 3")

        assert done.code == 3
        result = json.loads(service.stored()["bucket/results/a.txt.result.json"])
        assert (result["status"], result["failure"], result["exit_code"]) == ("failed", "script", 3)

    def test_it_tells_of_a_missing_input(self, service):
        done = service.run(event("bucket/in/missing.txt"))

        assert done.code == 115
        result = json.loads(service.stored()["bucket/results/missing.txt.result.json"])
        assert (result["failure"], result["exit_code"]) == ("input_missing", 115)
        assert result["reason"] == done.result["reason"]


@pytest.mark.parametrize(
    "setting", [{"file_stage_in": True}, {"download_input": False}], ids=lambda setting: next(iter(setting))
)
def test_the_download_can_be_switched_off(service, setting):
    service.config |= setting
    service.script = """\
    test -z "${INPUT_FILE_PATH+set}" && test -z "$(ls "$TMP_INPUT_DIR")" || exit 9
    echo "$STORAGE_OBJECT_KEY" > "$TMP_OUTPUT_DIR/key"
    """

    done = service.run(event("bucket/in/not-even-there"))

    succeeds(done, service)
    assert uploaded(service) == {"key": b"in/not-even-there\n"}
