"""The plan: which runs an event means, and where their files come from and go to."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from faas_supervisor.config import Function, Input, Output, Provider, Target
from faas_supervisor.errors import ConfigurationError, EventError, PluginError
from faas_supervisor.events import Event, Record
from faas_supervisor.planning import Source, make_plan
from faas_supervisor.storage import ObjectRef, ProviderSpec

OUT = Output("minio.default", "bucket/out")


def providers(*names, **changed):
    return {name: Provider(name, changed.get("type", name.partition(".")[0])) for name in names}


FUNCTION = Function(
    inputs=(Input("minio.default", "bucket/in"),),
    outputs=(OUT,),
    providers=providers("minio.default", "minio.other", "s3.default"),
)


def record(path="bucket/in/a.txt", provider="minio.default", **fields):
    return Record(path.rpartition("/")[2], provider=provider, path=path, **fields)


@dataclass(frozen=True)
class Shelf:
    """The settings of a provider that holds one shelf of a library; events tell `library/shelf/…`."""

    name: str

    @staticmethod
    def locate(settings, path):
        library, _, rest = path.partition("/")
        shelf, _, own = rest.partition("/")
        return own if (library, shelf) == ("library", settings.name) else None


def spec(type_):
    if type_ == "rucio":
        raise PluginError("no plugin is installed for the provider type 'rucio'")
    return ProviderSpec(type_, Shelf, Shelf, locate=Shelf.locate if type_ == "shelves" else None)


def plan(*records, function=FUNCTION):
    return make_plan(Event("minio", records), function, spec)


def sources(made):
    return [item.source for run in made.runs for item in run.items]


class TestSources:
    def test_a_file_comes_from_its_provider_pinned_as_the_event_says(self):
        made = plan(record(size=5, version="v", etag="e"))
        assert sources(made) == [Source("minio.default", ObjectRef("bucket/in/a.txt", "v", "e"), 5)]

    def test_a_payload_comes_from_nowhere(self):
        made = plan(Record("event-file", data=b"x"))
        assert sources(made) == [None]
        assert made.runs[0].outputs == (OUT,)

    @pytest.mark.parametrize("how", [{"file_stage_in": True}, {"download_input": False}])
    def test_where_files_are_left_in_place_nothing_is_downloaded_and_it_is_said(self, how, caplog):
        caplog.set_level("INFO", "faas_supervisor")
        made = plan(record("bucket/in/a\nb"), function=replace(FUNCTION, **how))
        assert sources(made) == [None]
        assert caplog.records[0].getMessage() == ("bucket/in/a\\nb is not downloaded: the configuration says so")
        assert made.providers == ("minio.default",)

    def test_a_folder_in_the_place_of_a_server_knows_nothing_of_its_versions(self):
        function = replace(FUNCTION, providers=providers("minio.default", type="file"))
        made = plan(record(size=5, version="v", etag="e"), function=function)
        assert sources(made) == [Source("minio.default", ObjectRef("bucket/in/a.txt"), 5)]

    def test_each_record_is_a_run_in_the_events_order(self):
        made = plan(record("bucket/in/b"), record("bucket/in/a"))
        assert [run.label for run in made.runs] == ["bucket/in/b", "bucket/in/a"]


class TestProviders:
    @pytest.mark.parametrize(
        ("inputs", "named", "meant"),
        [
            ((Input("minio.other", "bucket"),), "minio", "minio.other"),
            ((Input("minio.other", "bucket/in"), Input("minio.default", "bucket")), "minio", "minio.other"),
            ((Input("minio.default", "bucket"), Input("minio.other", "bucket/i")), "minio", "minio.default"),
            ((Input("s3.default", "bucket/in"),), "minio", "minio.default"),
            ((), "minio", "minio.default"),
            ((Input("minio.other", "bucket/in/a.txt"),), "minio", "minio.other"),
        ],
        ids=["only", "longest", "whole-segments", "other-type", "no-inputs", "exact"],
    )
    def test_a_bare_type_means_the_input_that_holds_the_object(self, inputs, named, meant):
        made = plan(record(provider=named), function=replace(FUNCTION, inputs=inputs))
        assert sources(made)[0].provider == meant

    def test_a_full_name_is_taken_as_it_is(self):
        made = plan(record(provider="minio.other"))
        assert sources(made)[0].provider == "minio.other"

    def test_one_that_is_not_configured_is_told(self):
        with pytest.raises(ConfigurationError) as caught:
            plan(record(provider="onedata.default"))
        assert str(caught.value) == (
            "the event is about bucket/in/a.txt on onedata.default, which is not configured"
            " — add onedata.default below storage_providers (configured: minio.default, minio.other, s3.default)"
        )

    def test_hostile_names_stay_on_one_line(self):
        with pytest.raises(ConfigurationError) as caught:
            plan(record("bucket/in/a\nb", provider="minio.x\ny"))
        assert str(caught.value).isprintable()

    def test_all_that_are_needed_are_named_once(self):
        function = replace(FUNCTION, outputs=(OUT, Output("s3.default", "x")), result=Target("minio.other", "results"))
        assert plan(record(), record(), function=function).providers == ("minio.default", "s3.default", "minio.other")


class TestOutsideTheInputs:
    def test_it_is_an_error(self):
        with pytest.raises(EventError, match="bucket/elsewhere/a lies outside the inputs"):
            plan(record("bucket/elsewhere/a"))

    def test_it_can_be_a_warning(self, caplog):
        plan(record("bucket/else\nwhere/a"), function=replace(FUNCTION, input_check="warn"))
        assert "lies outside the inputs" in caplog.records[0].getMessage()
        assert "\n" not in caplog.records[0].getMessage()

    @pytest.mark.parametrize("path", ["bucket/input2/a", "bucket/in2", "bucket", "other/bucket/in/a"])
    def test_a_similar_name_is_outside(self, path):
        with pytest.raises(EventError):
            plan(record(path))


class TestIsolation:
    USER = replace(
        FUNCTION,
        isolation_level="USER",
        bucket_list=("anna", "ben"),
        inputs=(),
        outputs=(OUT, Output("s3.default", "b/o")),
    )

    def paths(self, made):
        return [[output.path for output in run.outputs] for run in made.runs]

    def test_results_go_to_the_users_own_bucket_on_minio(self):
        made = plan(record("anna/in/a"), record("ben/in/a"), function=self.USER)
        assert self.paths(made) == [["anna/out", "b/o"], ["ben/out", "b/o"]]

    def test_a_bucket_that_is_not_listed_changes_nothing(self):
        assert self.paths(plan(record("carl/in/a"), function=self.USER)) == [["bucket/out", "b/o"]]

    def test_without_isolation_nothing_changes(self):
        function = replace(self.USER, isolation_level="SERVICE")
        assert self.paths(plan(record("anna/in/a"), function=function)) == [["bucket/out", "b/o"]]

    def test_an_output_that_is_a_bucket_only_stays_one(self):
        function = replace(self.USER, outputs=(Output("minio.default", "bucket"),))
        assert self.paths(plan(record("anna/in/a"), function=function)) == [["anna"]]


class TestTogether:
    TOGETHER = replace(FUNCTION, records="together")

    def test_all_records_are_one_run(self):
        made = plan(record("bucket/in/a"), record("bucket/in/b"), function=self.TOGETHER)
        (run,) = made.runs
        assert [item.name for item in run.items] == ["a", "b"]
        assert run.together
        assert run.label == "bucket/in/a and 1 more"

    def test_files_of_one_name_are_kept_apart(self):
        made = plan(record("bucket/in/x/a"), record("bucket/in/y/a"), function=self.TOGETHER)
        names = [item.name for item in made.runs[0].items]
        assert len(set(names)) == 2
        assert all(name.endswith("/a") for name in names)

    def test_the_results_of_different_users_are_different_runs(self):
        function = replace(TestIsolation.USER, records="together")
        made = plan(record("anna/a"), record("ben/a"), record("anna/b"), function=function)
        assert [[item.record.path for item in run.items] for run in made.runs] == [["anna/a", "anna/b"], ["ben/a"]]


class TestPathsThatTellMore:
    """A store whose events tell a path that says on which of several providers the object is."""

    SHELVES = replace(
        FUNCTION,
        inputs=(Input("shelves.b", "in"),),
        providers={name: Provider(name, "shelves", Shelf(name[-1])) for name in ("shelves.a", "shelves.b")},
    )

    @pytest.mark.parametrize("shelf", ["a", "b"])
    def test_the_provider_that_knows_it_is_chosen_and_gets_its_own_path(self, shelf):
        made = plan(record(f"library/{shelf}/in/x", "shelves"), function=self.SHELVES)
        assert sources(made) == [Source(f"shelves.{shelf}", ObjectRef("in/x"), None)]

    def test_one_that_nobody_knows_is_an_error(self):
        with pytest.raises(ConfigurationError, match="library/c/x on shelves.default, which is not configured"):
            plan(record("library/c/x", "shelves"), function=self.SHELVES)

    def test_it_still_has_to_lie_in_an_input(self):
        with pytest.raises(EventError, match="else/x lies outside"):
            plan(record("library/b/else/x", "shelves"), function=self.SHELVES)

    def test_a_missing_plugin_is_named_rather_than_a_missing_configuration(self):
        with pytest.raises(PluginError, match="rucio"):
            plan(record("scope/name", "rucio"))


class TestEventsWithoutAFolder:
    """dCache tells a file's name and through which subscription it comes, but not where the file is."""

    @pytest.fixture
    def locate(self):
        def plan_with(*inputs, name="a.txt"):
            function = replace(FUNCTION, inputs=inputs, providers=providers("webdav.default", "dcache.default"))
            seen = Record(name, provider="dcache", subscription="s1")
            return sources(plan(seen, function=function))

        return plan_with

    @pytest.mark.parametrize("provider", ["webdav.default", "dcache.default"])
    def test_the_folder_is_that_of_the_only_input_on_webdav(self, locate, provider):
        assert locate(Input("minio.default", "b"), Input(provider, "data/in")) == [
            Source(provider, ObjectRef("data/in/a.txt"), None)
        ]

    @pytest.mark.parametrize(
        ("inputs", "told"),
        [
            ((), r"\(none\)"),
            ((Input("webdav.default", "x"), Input("dcache.default", "y")), r"\(webdav\.default x, dcache\.default y\)"),
        ],
        ids=["none", "two"],
    )
    def test_without_one_it_is_told(self, locate, inputs, told):
        with pytest.raises(ConfigurationError, match=told) as caught:
            locate(*inputs, name="a\nb")
        assert str(caught.value).isprintable()
