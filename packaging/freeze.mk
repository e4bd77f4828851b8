# The frozen supervisor: docs/building.md. Its tools and exactly pinned libraries live in an environment of their own.
FREEZE := build/freeze
DIST := dist
FREEZE_BIN := $(FREEZE)/venv/bin
SOURCES := $(shell find faas_supervisor plugins/*/faas_supervisor_* -name '*.py') pyproject.toml $(PLUGINS)

$(FREEZE)/venv/installed: packaging/requirements.txt
	rm -rf $(FREEZE)/venv
	$(PYTHON) -m venv $(FREEZE)/venv
	$(FREEZE_BIN)/python -m pip install --quiet --require-hashes --only-binary :all: --requirement $<
	@touch $@

$(DIST)/supervisor: $(FREEZE)/venv/installed $(SOURCES) $(wildcard packaging/*)
	$(FREEZE_BIN)/python -m pip install --quiet --no-deps --no-build-isolation --force-reinstall . $(PLUGINS:%/pyproject.toml=./%)
	$(FREEZE_BIN)/python packaging/freeze.py $(DIST) $(FREEZE)/work
	@touch $@

.PHONY: freeze freeze-arm64 freeze-lock test-frozen
freeze: $(DIST)/supervisor

# The same for arm64, in an emulated Debian; as root.
freeze-arm64:
	packaging/arm64.sh build/arm64 dist/arm64

# Writes packaging/requirements.txt anew, with the newest versions that fit.
freeze-lock: .venv/installed
	$(BIN)/python -m pip install --quiet uv
	packaging/lock.sh $(BIN)/uv

test-frozen: freeze .venv/installed
	$(BIN)/pytest tests/frozen --numprocesses 2 --dist loadscope
