# Everything happens in .venv; nothing is needed beforehand but Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
PLUGINS := $(wildcard plugins/*/pyproject.toml)
EXAMPLE := examples/simple-test
DEMO := build/demo

# These take programs, or a kernel, of their own.
WITHOUT := --ignore tests/ceph --ignore tests/uml --ignore tests/frozen --ignore tests/load
# Servers and deadlines of four tests at a time may be too much for two cores: what failed has to pass alone.
ONCE_MORE := $(BIN)/coverage run -m pytest $(WITHOUT) --last-failed --last-failed-no-failures none

.PHONY: help demo test test-ceph test-uml test-load fuzz check lint types coverage bench bench-frozen clean

help:
	@echo "make demo   one real invocation, without any server"
	@echo "make test   every test, with the servers that they need"
	@echo "make test-ceph  the tests against Ceph's object gateway, which takes its own Debian packages"
	@echo "make test-uml   the tests of cgroup v2, in a user-mode Linux"
	@echo "make test-load  ten thousand requests, and bodies of 2 GiB"
	@echo "make fuzz   throws random events at the decoder"
	@echo "make check  tests, linters, types and coverage"
	@echo "make freeze the frozen supervisor, which runs in any image, in dist/"
	@echo "make test-frozen  the tests of what make freeze makes"
	@echo "make bench-frozen  the same of the frozen supervisor"
	@echo "make bench  the measurements of docs/benchmarks.md"

.venv/installed: pyproject.toml $(PLUGINS)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable . $(PLUGINS:%/pyproject.toml=--editable %) --group dev
	@touch $@

demo: .venv/installed
	@rm -rf $(DEMO) && mkdir -p $(DEMO) && cp -R $(EXAMPLE)/storage $(DEMO)/storage
	$(BIN)/supervisor run --event $(EXAMPLE)/event.json --config $(EXAMPLE)/function_config.yaml \
		--storage $(DEMO)/storage
	@echo; echo "The output folder now holds:"
	@cd $(DEMO)/storage/minio.default/simple-test/output && head -n 20 *

test: .venv/installed
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest $(WITHOUT) --numprocesses 4 --dist loadscope || $(ONCE_MORE)

test-ceph: .venv/installed
	$(BIN)/pytest tests/ceph

test-uml: .venv/installed
	$(BIN)/python -m tests.machine $(BIN)/pytest -p no:cacheprovider tests/uml

test-load: .venv/installed
	$(BIN)/pytest -s tests/load

fuzz: .venv/installed
	$(BIN)/python -m pip install --quiet --group fuzz
	$(BIN)/python tests/fuzz/fuzz_events.py -atheris_runs=20000

coverage: test
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/installed
	$(BIN)/mypy
	MYPYPATH=packaging $(BIN)/mypy packaging/freeze.py

check: lint types coverage

bench: .venv/installed
	$(BIN)/python -m bench

bench-frozen: .venv/installed freeze
	$(BIN)/python -m bench.frozen

include packaging/freeze.mk

clean:
	rm -rf .venv .bench build dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
