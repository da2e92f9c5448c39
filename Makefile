# make search: from nothing to a report. make test: what the tests need, then the tests.
# make test ROOM=arch: the quick tests of one room. make mutate ROOM=arch: do its tests notice wrong changes?
# make docs: the pages of docs/ as a site in build/docs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN = $(VENV)/bin
BUDGET ?= 4.5
STUDY ?= cifar10-sk-paper-$(BUDGET)g-quick-s0
ARGS ?=

.PHONY: search test mutate check docs install browser clean

search: install
	$(BIN)/skexplore search --budget-gflops $(BUDGET) --study $(STUDY) $(ARGS)
	$(BIN)/skexplore report $(STUDY)

test: $(VENV)/.test browser
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal $(if $(ROOM),tests/$(ROOM) -m "not slow")

mutate: $(VENV)/.test
	$(BIN)/python tests/mutate.py $(ROOM) $(ARGS)

check: $(VENV)/.check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell
	@mkdir -p build && $(BIN)/python tests/page_script.py >build/page.js
	@if command -v npx >/dev/null; then npx --yes @biomejs/biome@2.6.8 lint --error-on-warnings --config-path=tests/biome.json build/page.js; \
	  else echo "no npx found: the page's script is not linted (npx comes with npm)"; fi

docs: $(VENV)/.test
	$(BIN)/mkdocs build --quiet --config-file .mkdocs.yml

install: $(VENV)/.install

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(VENV)/.install: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.test: $(VENV)/.install
	$(BIN)/python -m pip install --quiet --group test
	touch $@

$(VENV)/.check: $(VENV)/.install
	$(BIN)/python -m pip install --quiet --group check
	touch $@

# the page tests need a Chromium; where none can be installed they are skipped by name
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq chromium; } || \
	  echo "no Chromium found: the page tests will be skipped (install one, for example: apt install chromium)"

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
