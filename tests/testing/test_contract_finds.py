"""A kit that can't fail is worthless: for every test of the contract there is a defect that it finds."""

from __future__ import annotations

import inspect

import pytest

from faas_supervisor.testing import StorageContract
from tests.testing import broken_clients, broken_files  # noqa: F401  # both add to FOUND_BY
from tests.testing.defects import FOUND_BY
from tests.testing.http_provider import HttpProvider

pytest_plugins = ["pytester"]

_MODULE = """
from {module} import {name}
from tests.testing.contracts import {contract}

class TestBroken({contract}):
    provider_class = {name}
    stall_time = 2.0
    model_examples = 100
"""


@pytest.mark.parametrize(("provider", "test"), FOUND_BY.items(), ids=[provider.__name__ for provider in FOUND_BY])
def test_a_defect_is_found(pytester, provider, test):
    contract = "HttpContract" if issubclass(provider, HttpProvider) else "FileContract"
    module = _MODULE.format(module=provider.__module__, name=provider.__name__, contract=contract)
    pytester.makepyfile(test_broken=module)

    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-k", test)

    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) > 0, outcomes
    assert "errors" not in outcomes


def test_every_rule_of_the_contract_has_a_defect_that_breaks_it():
    tests = {name for name, _ in inspect.getmembers(StorageContract) if name.startswith("test_")}
    assert tests == set(FOUND_BY.values())
