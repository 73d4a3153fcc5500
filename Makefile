# What people type. Each target says what it is for behind '##'; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PATH := $(PATH):/nix/var/nix/profiles/default/bin:$(HOME)/.nix-profile/bin
# Flakes, also where nix.conf does not switch them on; and a layer a core at a time, where Nix's default is one.
define NIX_CONFIG
extra-experimental-features = nix-command flakes
max-jobs = auto
endef
export NIX_CONFIG
PYTHON := .venv/bin/python
WORKSPACE := nix run "$(CURDIR)\#workspace-cpu" --

.PHONY: help
help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

.PHONY: quickstart
quickstart: ## from nothing to a verdict: install Nix, fetch, build, train, rerun (YES=1 does not ask)
	@examples/quickstart.sh

.PHONY: nix
nix: ## make Nix ready: installed, sandbox and flakes on (YES=1 does not ask)
	@images/setup-nix.sh
	@images/untracked.sh

.PHONY: fetch
fetch: nix ## put every pinned file into the Nix store
	@# Reading the intents takes Python 3.11; an older one leaves the question to make lock-check.
	@! python3 -c 'import tomllib' 2>/dev/null || python3 -m images.lock check >/dev/null
	@python3 -m images.fetch

.PHONY: build
build: fetch ## build the images, the SDK's wheel and the example's data
	nix build .#workspace-cpu --out-link build/workspace-cpu
	nix build .#mlflow --out-link build/mlflow
	nix build .#sdk --out-link build/sdk

.PHONY: data
data: nix ## copy the example's data to examples/flights/data
	@mkdir -p examples/flights/data
	@nix build .#flights-data --out-link build/flights-data
	@install -m 0644 build/flights-data/* examples/flights/data/

.PHONY: lab
lab: nix ## JupyterLab in the workspace, on this machine
	$(WORKSPACE) jupyter lab --ip=127.0.0.1 --no-browser --port=$${PORT:-8888}

.PHONY: ui
ui: nix ## MLflow's pages on this project's runs
	$(WORKSPACE) mlflow server --host 127.0.0.1 --port $${PORT:-5000} \
	  --backend-store-uri "sqlite:///$(CURDIR)/.samebits/mlflow.db" --default-artifact-root "$(CURDIR)/.samebits/artifacts"

.PHONY: lock
lock: .venv ## resolve the intents in images/lock anew (ONLY="numpy pandas": just these)
	$(PYTHON) -m images.lock refresh $(foreach name,$(ONLY),--only $(name))

.PHONY: lock-check
lock-check: .venv ## refuse a lock that does not match its intent
	$(PYTHON) -m images.lock check

.PHONY: lock-diff
lock-diff: .venv ## what changed in the locks since OLD (a commit; default HEAD)
	$(PYTHON) -m images.lock diff $(or $(OLD),HEAD) $(or $(NEW),.)

# Exact versions stand in pyproject.toml; pip installs groups from 25.1 on only, so uv does it.
.venv: pyproject.toml
	@tests/install.sh
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check "$$(sed -n 's/^  "\(uv==.*\)",/\1/p' pyproject.toml)"
	.venv/bin/uv pip install --quiet --python .venv/bin/python --group dev
	@touch .venv

.PHONY: check
check: .venv lock-check ## style, types, directions of imports: what needs no build
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	PYTHONPATH=.:sdk/src .venv/bin/lint-imports

.PHONY: test
test: nix test-tools .venv fetch ## every test; installs what it needs
	$(PYTHON) -m pytest $(ARGS)

.PHONY: test-tools
test-tools:
	@tests/install.sh

.PHONY: bench
bench: nix .venv fetch ## the benchmarks, as ratios to a peer measured in the same run (root, 30 GB, half an hour)
	@tests/install.sh bench
	@mkdir -p build
	$(PYTHON) -m bench --write docs/benchmarks.md --json build/bench.json
