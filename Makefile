# make run and make test need only Python 3.11+ and make; they set up .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PACKAGES := eml_models tune_jobs

export RAY_USAGE_STATS_ENABLED := 0

.PHONY: help setup run run-architectures test test-slow test-gpu test-oldest test-newest lint check fast coverage
.PHONY: bench docs pictures clean image-check cluster-check
.DEFAULT_GOAL := help

help:
	@echo "make run     search training recipes, then networks under a limit, on the embedded digits"
	@echo "make run-architectures   a front of accuracy against MACs, and a search across families"
	@echo "make test    all tests except those marked slow or gpu"
	@echo "make test-oldest, make test-newest   the fast tests and a run, at the ends of the ranges of pyproject.toml"
	@echo "make lint    format, lint, types, layers"
	@echo "make docs    builds the pages of docs/ in build/docs, without a network; make pictures makes their pictures anew"
	@echo "make check   make lint and the fast tests, those without Ray"
	@echo "make coverage   the tests of make test, and how much of each file they run, with the total"
	@echo "make image-check   builds the image with docker or podman, and looks at it in containers: minutes, 20 GB"
	@echo "make cluster-check   starts the cluster files in containers: root, Linux, podman; see docker/README.md"
	@echo "make bench   the benchmarks; make clean removes .venv and caches, never a store"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "Python 3.11, 3.12 or 3.13 is needed, $$($(PYTHON) --version) was found; name another with make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

run: $(READY)
	$(BIN)/python -m tune_jobs run digits-recipes --workers 2
	$(BIN)/python -m tune_jobs run digits-mobilenet --workers 2

run-architectures: $(READY)
	$(BIN)/python -m tune_jobs run digits-front --workers 2
	$(BIN)/python -m tune_jobs run digits-families --workers 2

# Tests run side by side. Those with Ray share one, so they run one after the other in one of the workers, beside
# the others: they wait for Ray for half of their time. tests/conftest.py says who gets which.
FAST := -m "not ray and not slow and not gpu" -n auto --maxprocesses 8
ALL := -m "not slow and not gpu" -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test: $(READY)
	$(BIN)/python -m pytest $(ALL)

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow --timeout 3600

test-gpu: $(READY)
	$(BIN)/python -m pytest -m gpu

# Each makes an environment of its own anew, some 6 GB. What pip is told elsewhere (PIP_CONSTRAINT, pip.conf) holds.
OLDEST := .venv-oldest
NEWEST := .venv-newest

test-oldest:
	rm -rf $(OLDEST)
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet packaging
	$(OLDEST)/bin/python tests/oldest_versions.py > $(OLDEST)/oldest.txt
	$(OLDEST)/bin/python -m pip install --quiet --constraint $(OLDEST)/oldest.txt --editable '.[dev]'
	$(call fast_tests_and_a_run,$(OLDEST))

test-newest:
	rm -rf $(NEWEST)
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --editable '.[dev]'
	$(call fast_tests_and_a_run,$(NEWEST))

define fast_tests_and_a_run
	$(1)/bin/python -m pip list --format freeze
	$(1)/bin/python -m pytest $(FAST) -q
	@store=$$(mktemp -d); \
	  $(1)/bin/python -m tune_jobs run digits-recipes --trials 4 --workers 2 --store "$$store/trials"; \
	  code=$$?; rm -rf "$$store"; exit $$code
endef

fast: $(READY)
	$(BIN)/python -m pytest $(FAST) -q

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What to run before a commit. CI runs lint and test, so that it runs each test once.
check: lint fast

# Started processes and Ray's workers are measured too; what is killed loses its part, so the total is a floor.
# A failed test ends it before the table. The data is in build/coverage, which the next call replaces.
coverage: $(READY)
	rm -rf build/coverage
	mkdir -p build/coverage
	$(BIN)/coverage run -m pytest $(ALL)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# A warning is an error: a link that leads nowhere, a page in no list, a name that the package does not have.
docs: $(READY)
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --nitpicky --quiet docs build/docs

# The pictures of README and pages, from two studies that it runs: two minutes of a core. Not part of CI.
pictures: $(READY)
	PYTHONPATH=docs $(BIN)/python docs/pictures/make.py

bench: $(READY)
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.side_by_side
	$(BIN)/python -m benchmarks.digits
	$(BIN)/python -m benchmarks.store_scale
	$(BIN)/python -m benchmarks.near_limit
	$(BIN)/python -m benchmarks.fronts
	$(BIN)/python -m benchmarks.shared_data
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.latency_proxies
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,bench]'
	$(BIN)/python -m benchmarks.sampler

# Neither is part of CI. docker/README.md says what they need and look at.
image-check: $(READY)
	$(BIN)/python -m benchmarks.cluster image

cluster-check: $(READY)
	$(BIN)/python -m benchmarks.cluster onpremise compose cloud pods metrics

clean:
	rm -rf $(VENV) $(OLDEST) $(NEWEST) build .pytest_cache .mypy_cache .ruff_cache .hypothesis
