"""Plugins: found without importing them, loaded when needed, and harmless when broken."""

from __future__ import annotations

import importlib.metadata
import itertools
import sys
import textwrap

import pytest

from faas_supervisor.errors import Failure, PluginError
from faas_supervisor.plugins import GROUP, Found, Plugins, installed

GOOD = """
    from dataclasses import dataclass
    from faas_supervisor import hookimpl
    from faas_supervisor.storage import ProviderSpec

    @dataclass(frozen=True)
    class Settings:
        pass

    @hookimpl
    def faas_supervisor_storage_providers():
        return [ProviderSpec(type=name, settings=Settings, factory=Settings) for name in {types!r}]
"""

HOOK = "from faas_supervisor import hookimpl\n@hookimpl\ndef "

_numbers = itertools.count()


class Site:
    """A folder on `sys.path` that fake distributions are installed into."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def install(self, name, code="", *, distribution=None, version="1.0", module=None):
        """Install a distribution with one plugin, and return the name of its module."""
        module = module or f"fake_plugin_{next(_numbers)}"
        distribution = distribution or f"fake_{name}"
        (self.folder / f"{module}.py").write_text(textwrap.dedent(code))
        self.entry_points(f"{distribution}-{version}", f"[{GROUP}]\n{name} = {module}\n")
        return module

    def entry_points(self, folder, text):
        info = self.folder / f"{folder}.dist-info"
        info.mkdir(exist_ok=True)
        distribution, _, version = folder.partition("-")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.fixture
def site(tmp_path, monkeypatch):
    made = Site(tmp_path / "site-packages")
    monkeypatch.setattr(sys, "path", [str(made.folder)])
    yield made
    for name in [name for name in sys.modules if name.startswith("fake_plugin_")]:
        del sys.modules[name]


def providing(*types):
    return GOOD.format(types=types)


class TestFinding:
    def test_the_answer_is_that_of_importlib_metadata(self):
        ours = {(entry.name, entry.module) for entry in installed(sys.path)}
        theirs = {(entry.name, entry.value) for entry in importlib.metadata.entry_points(group=GROUP)}
        assert ours == theirs
        assert ("file", "faas_supervisor.storage.file") in ours

    def test_the_distributions_are_those_of_importlib_metadata_as_well(self):
        theirs = {(entry.name, entry.dist.version) for entry in importlib.metadata.entry_points(group=GROUP)}
        assert {(entry.name, entry.version) for entry in installed(sys.path)} == theirs

    @pytest.mark.parametrize(
        "text",
        [
            "[faas_supervisor]\na = one\nb = two\n",
            "[console_scripts]\nx = y:z\n\n[faas_supervisor]\n\n# said\na=one\n\n[other]\nq = r\n",
            "[faas_supervisor]\n  a  =  one  \n",
            "[other]\na = one\n",
            "[ faas_supervisor ]\n",
            "",
            "\n\n",
            "[faas_supervisor]\r\na = one\r\n",
            "no section\na = b\n",
            "[faas_supervisor]\na.b-c = one.two\n",
        ],
    )
    def test_any_file_is_read_as_importlib_metadata_reads_it(self, tmp_path, text):
        site = Site(tmp_path / "x")
        site.entry_points("thing-1", text)
        found = importlib.metadata.Distribution.at(tmp_path / "x" / "thing-1.dist-info").entry_points
        theirs = [(entry.name, entry.value) for entry in found if entry.group == GROUP]
        assert [(entry.name, entry.module) for entry in installed([str(site.folder)])] == theirs

    def test_nothing_is_imported(self, site):
        module = site.install("mine", "raise SystemExit('imported')")
        assert list(installed(sys.path)) == [Found("mine", module, "fake-mine", "1.0")]
        assert "mine" in Plugins({}).found
        assert module not in sys.modules

    def test_the_first_folder_wins_however_the_name_is_spelled(self, tmp_path, monkeypatch):
        first, second = Site(tmp_path / "first"), Site(tmp_path / "second")
        first.entry_points("My_Plugin-1.0", f"[{GROUP}]\na = one\n")
        second.entry_points("my.plugin-2.0", f"[{GROUP}]\na = two\n")
        paths = [str(first.folder), str(second.folder)]
        monkeypatch.setattr(sys, "path", paths)
        theirs = [entry.value for entry in importlib.metadata.entry_points(group=GROUP)]
        assert [entry.module for entry in installed(paths)] == theirs == ["one"]

    @pytest.mark.parametrize("path", ["/nowhere/at/all", __file__, "archive.zip"], ids=["missing", "file", "zip"])
    def test_what_is_no_folder_is_passed_over(self, path):
        assert list(installed([path])) == []

    def test_a_file_that_is_not_utf8_does_not_hide_the_others(self, site):
        site.entry_points("broken-1", b"[console_scripts]\nx = \xff\xfe\n")
        site.install("mine")
        assert [entry.name for entry in installed(sys.path)] == ["mine"]

    def test_a_distribution_without_entry_points_is_passed_over(self, site):
        (site.folder / "plain-1.0.dist-info").mkdir()
        assert list(installed(sys.path)) == []


class TestLoading:
    def test_a_plugin_offers_its_provider(self, site):
        site.install("mine", providing("mine"))
        plugins = Plugins({})
        assert plugins.spec("mine").type == "mine"
        assert plugins.settings("mine").__name__ == "Settings"
        assert set(plugins.specs) == {"mine"}

    def test_only_the_needed_one_is_imported(self, site):
        site.install("mine", providing("mine"))
        other = site.install("other", providing("other"))
        Plugins({}).spec("mine")
        assert other not in sys.modules

    def test_a_broken_one_that_is_not_needed_does_no_harm(self, site):
        site.install("broken", "1 / 0")
        site.install("mine", providing("mine"))
        assert Plugins({}).spec("mine").type == "mine"

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("1 / 0", "ZeroDivisionError"),
            ("import no_such_sdk_at_all", "no_such_sdk_at_all"),
            ("raise SystemExit(3)", "SystemExit"),
            ("def :", "SyntaxError"),
            (
                HOOK + "faas_supervisor_storage_providers():\n    1 / 0",
                "ZeroDivisionError",
            ),
            (HOOK + "faas_supervisor_no_such_hook(): pass", "no_such_hook"),
            (
                HOOK + "faas_supervisor_check(nonsense): pass",
                "nonsense",
            ),
            (
                HOOK + "faas_supervisor_storage_providers(): return ['x']",
                "ProviderSpec",
            ),
            (
                HOOK + "faas_supervisor_storage_providers(): return 7",
                "TypeError",
            ),
        ],
        ids=[
            "raises", "sdk-missing", "exits", "syntax", "hook-raises", "unknown-hook", "unknown-argument", "no-spec",
            "no-list",
        ],
    )  # fmt: skip
    def test_a_broken_one_is_named_with_distribution_and_version(self, site, code, said):
        site.install("broken", code, distribution="faas_supervisor_broken", version="3.2.1")
        with pytest.raises(PluginError) as caught:
            Plugins({}).spec("broken")
        assert "the plugin 'broken' (faas-supervisor-broken 3.2.1)" in str(caught.value)
        assert said in str(caught.value)
        assert caught.value.failure is Failure.PLUGIN

    @pytest.mark.parametrize(
        "code",
        [
            HOOK + "faas_supervisor_no_such_hook(): pass",
            HOOK + "faas_supervisor_check(nonsense): pass",
            HOOK + "faas_supervisor_storage_providers():\n    1 / 0",
        ],
        ids=["unknown-hook", "unknown-argument", "hook-raises"],
    )
    def test_a_broken_one_does_not_break_the_next(self, site, code):
        site.install("broken", code)
        site.install("mine", providing("mine"))
        plugins = Plugins({})
        with pytest.raises(PluginError):
            plugins.spec("broken")
        assert plugins.spec("mine").type == "mine"

    def test_asking_again_for_a_broken_one_says_the_same_without_importing_it_again(self, site):
        module = site.install("broken", "import sys\nsys.fake_imports = getattr(sys, 'fake_imports', 0) + 1\n1 / 0")
        plugins = Plugins({})
        for _ in range(2):
            with pytest.raises(PluginError, match="ZeroDivisionError"):
                plugins.spec("broken")
        assert module not in sys.modules
        assert sys.fake_imports == 1
        del sys.fake_imports

    def test_another_version_of_the_interface_is_refused(self, site):
        site.install("old", providing("old").replace("factory=Settings", "factory=Settings, api_version=99"))
        with pytest.raises(PluginError, match=r"fake-old 1.0.*made for version 99.*this is 1"):
            Plugins({}).spec("old")

    def test_the_hooks_of_a_refused_one_are_not_called(self, site):
        code = providing("old").replace("factory=Settings", "factory=Settings, api_version=99")
        site.install("old", code + "\n    @hookimpl\n    def faas_supervisor_decode_event(document): 1 / 0\n")
        assert Plugins({}).decode({}, {}) is None

    def test_a_module_without_hooks_offers_nothing(self, site):
        site.install("empty", "")
        with pytest.raises(PluginError, match=r"the plugin 'empty' offers no provider of that type"):
            Plugins({}).spec("empty")

    def test_one_module_may_serve_several_types(self, site):
        module = site.install("webdav", providing("webdav", "dcache"), distribution="fake_dcache")
        site.entry_points("fake_dcache-1.0", f"[{GROUP}]\nwebdav = {module}\ndcache = {module}\n")
        for order in (("webdav", "dcache"), ("dcache", "webdav")):
            plugins = Plugins({"FAAS_SUPERVISOR_STRICT_PLUGINS": "1"})
            assert [plugins.spec(name).type for name in order] == list(order)
            plugins.load_all()

    def test_its_log_speaks_with_ours(self, site, caplog):
        caplog.set_level("INFO", "faas_supervisor")
        module = site.install("mine", providing("mine"))
        Plugins({}).spec("mine")
        import logging

        logging.getLogger(module).info("heard")
        assert "heard" in caplog.text


class TestMissing:
    def test_the_sentence_says_what_to_install(self, site):
        with pytest.raises(PluginError) as caught:
            Plugins({}).spec("onedata")
        assert str(caught.value) == (
            "no plugin is installed for the provider type 'onedata' — pip install faas-supervisor-onedata"
        )

    def test_a_slip_of_the_pen_is_told(self, site):
        site.install("minio", providing("minio"))
        with pytest.raises(PluginError, match='did you mean "minio"'):
            Plugins({}).spec("mino")


class TestTwice:
    def test_two_distributions_with_one_name_are_both_named(self, site):
        site.install("mine", providing("mine"), distribution="alpha")
        site.install("mine", providing("mine"), distribution="beta")
        with pytest.raises(PluginError, match=r"'mine' is offered by both alpha and beta.*uninstall one"):
            Plugins({}).spec("mine")

    def test_two_plugins_with_one_type_are_both_named(self, site):
        site.install("mine", providing("mine"), distribution="alpha")
        site.install("other", providing("other", "mine"), distribution="beta")
        plugins = Plugins({})
        plugins.spec("mine")
        with pytest.raises(PluginError, match=r"'other' \(beta 1.0\).*'mine'.*'mine' \(alpha 1.0\)"):
            plugins.spec("other")

    def test_one_distribution_on_the_path_twice_is_one(self, site, monkeypatch):
        site.install("mine", providing("mine"))
        monkeypatch.setattr(sys, "path", [*sys.path, *sys.path])
        assert Plugins({}).spec("mine").type == "mine"


class TestEnvironment:
    @pytest.mark.parametrize(
        "environment",
        [
            {"FAAS_SUPERVISOR_DISABLED_PLUGINS": "mine"},
            {"FAAS_SUPERVISOR_DISABLED_PLUGINS": "other, mine"},
            {"FAAS_SUPERVISOR_PLUGINS": "other"},
            {"FAAS_SUPERVISOR_PLUGINS": "mine", "FAAS_SUPERVISOR_DISABLED_PLUGINS": "mine"},
        ],
        ids=["denied", "denied-list", "not-allowed", "both"],
    )
    def test_one_that_is_not_allowed_is_not_even_imported(self, site, environment):
        module = site.install("mine", "raise SystemExit('imported')")
        plugins = Plugins(environment)
        with pytest.raises(PluginError, match="disabled by the environment"):
            plugins.spec("mine")
        plugins.load_all()
        assert module not in sys.modules

    @pytest.mark.parametrize("names", ["mine", " mine , other ", "mine,,"])
    def test_one_that_is_allowed_is_loaded(self, site, names):
        site.install("mine", providing("mine"))
        assert Plugins({"FAAS_SUPERVISOR_PLUGINS": names}).spec("mine").type == "mine"

    def test_loading_all_warns_of_a_broken_one(self, site, caplog):
        site.install("broken", "1 / 0")
        site.install("mine", providing("mine"))
        plugins = Plugins({})
        plugins.load_all()
        assert set(plugins.specs) == {"mine"}
        assert "fake-broken 1.0" in caplog.text

    def test_strict_makes_a_broken_one_an_error(self, site):
        site.install("broken", "1 / 0")
        with pytest.raises(PluginError, match="broken"):
            Plugins({"FAAS_SUPERVISOR_STRICT_PLUGINS": "1"}).load_all()


class TestHooks:
    DECODER = """
        from faas_supervisor import hookimpl
        from faas_supervisor.events import Event

        @hookimpl
        def faas_supervisor_decode_event(document):
            {body}
    """

    def test_a_decoder_is_asked(self, site):
        site.install("mine", self.DECODER.format(body="return Event('mine') if document == {'a': 1} else None"))
        plugins = Plugins({})
        assert plugins.decode({"a": 1}, {}).type == "mine"
        assert plugins.decode({"b": 1}, {}) is None

    def test_a_decoder_that_fails_is_a_plugins_failure(self, site):
        site.install("mine", self.DECODER.format(body="return document['no']"))
        with pytest.raises(PluginError, match="KeyError") as caught:
            Plugins({}).decode({}, {})
        assert isinstance(caught.value.__cause__, KeyError)

    def test_our_own_errors_pass_through_a_decoder(self, site):
        body = "from faas_supervisor.errors import EventError; raise EventError('bad')"
        site.install("mine", self.DECODER.format(body=body))
        with pytest.raises(Exception, match="bad") as caught:
            Plugins({}).decode({}, {})
        assert caught.value.failure is Failure.EVENT

    def test_checks_are_gathered(self, site):
        code = HOOK + "faas_supervisor_check(path): return [path + '!']"
        site.install("one", code)
        site.install("two", code)
        plugins = Plugins({})
        plugins.load_all()
        assert plugins.faults(None, "a/b") == ["a/b!", "a/b!"]

    def test_a_check_that_fails_is_a_plugins_failure(self, site):
        site.install("one", HOOK + "faas_supervisor_check(): 1 / 0")
        plugins = Plugins({})
        plugins.load_all()
        with pytest.raises(PluginError, match="ZeroDivisionError"):
            plugins.faults(None, "a/b")

    def test_nobody_listens_where_no_plugin_can(self, site):
        assert Plugins({}).events(None, "a/b") is None
