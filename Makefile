# Tidewise: everything a developer or a newcomer types. Bare `make` lists the targets.
.DEFAULT_GOAL := help
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# A package index that holds CPU-only wheels of torch (saves about 4 GB); empty = the usual one.
TORCH_INDEX ?=
# Where the demo and `make up` keep their state.
DATA ?= .tidewise

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

$(UV):
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv$$(sed -n 's/^uv==/==/p' constraints.txt)"

comma := ,

define install
	@if [ -n "$(TORCH_INDEX)" ]; then \
	  $(UV) pip install --quiet --python $(BIN)/python --constraint constraints.txt --index-url $(TORCH_INDEX) torch; fi
	$(UV) pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '$(1)'
endef

$(VENV)/.installed: $(UV) pyproject.toml constraints.txt
	$(call install,.)
	@touch $@

$(VENV)/.installed-kafka: $(VENV)/.installed
	$(call install,.[kafka])
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(call install,.[kafka$(comma)postgres$(comma)dev])
	@touch $@ $(VENV)/.installed-kafka

.PHONY: install
install: $(VENV)/.installed ## install Tidewise into .venv

.PHONY: clean
clean: ## remove the environment, caches and the demo's data
	rm -rf $(VENV) .cache .tidewise build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
