# One command each; `make help` lists them. What they need and this machine lacks, they name and install.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help build wheel soak test test-long check lint fix bench planted leaks kills golden lock clean bootstrap dev

PY := .venv/bin/python
# Found when a recipe runs, after bootstrap: a fresh machine has neither when make starts.
RUST_PATH = PATH="$$(sh tools/bootstrap.sh cargo):$$PATH" PYO3_PYTHON="$(CURDIR)/$(PY)"
IN_VENV = VIRTUAL_ENV="$(CURDIR)/.venv" PATH="$(CURDIR)/.venv/bin:$$(sh tools/bootstrap.sh cargo):$$PATH"
# The binding crate is tested from Python: its tests would need libpython at link time.
PURE_CRATES := --workspace --exclude soakd-py

RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -not -path '*/tests/*' -not -path '*/benches/*' -not -path 'rust/policy-cost/*') \
	$(wildcard rust/*/Cargo.toml)

help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1 \2/p' Makefile | while read -r target text; do printf '  make %-9s %s\n' "$$target" "$$text"; done

build: bootstrap .venv/.built ## Build soakd into .venv/bin/soakd; only what changed

wheel: build ## Build the wheel that a host installs, into dist/
	@rm -rf dist
	@$(IN_VENV) maturin build --quiet --release --locked --out dist
	@$(PY) tools/check_wheel.py dist/*.whl

soak: build ## Soak the embedded engines for three minutes, no server needed (configs/quick.toml)
	@.venv/bin/soakd run configs/quick.toml

test: dev ## Run every test but the long ones, Rust and Python, unit to integration: twenty minutes on two cores
	@sh tools/bootstrap.sh tests
	@sh tools/get-opa.sh
	$(RUST_PATH) cargo test --locked --quiet $(PURE_CRATES)
	$(PY) -m tests.run

test-long: dev planted leaks kills ## Run what is long by nature, a night: see CONTRIBUTING.md
	@sh tools/bootstrap.sh tests
	@sh tools/get-opa.sh
	$(PY) -m tests.run --long

check: lint ## Format, lint, types, import contracts and the fast tests
	$(PY) -m pytest -q -n 2 --dist loadfile -m "not integration and not slow and not long" tests/unit tests/property

lint: dev ## Format, lint, types and import contracts, without a test
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	$(RUST_PATH) sh tools/check-rust.sh

fix: dev ## Format, and mend what the linters can mend
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
	$(RUST_PATH) cargo fmt --all

bench: dev ## Measure the budgets: driver, sampling, daemon, cache and policy, as ratios in one run
	$(PY) -m benches.bench

planted: dev ## Soak planted leaks and their twins on three seeds, at three sizes: an hour; exit 0 where all were right
	$(PY) -m tests.planted --seeds 1 2 3 --times-limit 2 5 50

leaks: dev ## Look at planted leaks of every kind and at healthy engines, and say where the true line came out: 20 minutes
	PATH="$$(sh tools/bootstrap.sh cargo):$$PATH" $(PY) -m tests.leaks

kills: dev ## Kill the daemon 50 times, workers 50 times, a server 20 and 100 times, and say what was seen: 20 minutes
	SOAKD_KILLS=50 $(PY) -m pytest -q -s tests/integration/test_killed.py

golden: dev ## Write the golden files anew; read the difference before you commit it
	$(PY) -m pytest -q --golden=write

lock: .venv/.venv ## Choose the newest allowed Python packages and write the lock files
	$(PY) -m venv .tools/lock
	.tools/lock/bin/pip install --quiet --upgrade uv
	.tools/lock/bin/uv $(UV_COMPILE) --group build --output-file requirements.lock pyproject.toml
	.tools/lock/bin/uv $(UV_COMPILE) --group dev --group bench --constraints requirements.lock \
		--output-file requirements-dev.lock

UV_COMPILE := pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate

clean: ## Remove what was built and installed here; runs/ stays
	rm -rf .venv .tools/lock target dist soakd/_native*.so .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find soakd tests benches examples -name __pycache__ -prune -exec rm -rf {} +

# ---------------------------------------------------------------------------------------------------------------------

bootstrap:
	@sh tools/bootstrap.sh

dev: build .venv/.locked-dev

.venv/.venv: | bootstrap
	@echo "Creating .venv with $$(sh tools/bootstrap.sh python)"
	@"$$(sh tools/bootstrap.sh python)" -m venv .venv
	@touch $@

.venv/.locked: requirements.lock .venv/.venv
	@echo "Installing Python packages (requirements.lock)"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

.venv/.locked-dev: requirements-dev.lock .venv/.locked
	@echo "Installing what checks, tests and benches need (requirements-dev.lock)"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

# Python code is used in place; only the Rust part, the entry point and the metadata are built.
.venv/.built: $(RUST_SOURCES) pyproject.toml .venv/.locked $(if $(wildcard soakd/_native*.so),,missing-extension)
	@echo "Building the Rust part (two to three minutes the first time)"
	@$(IN_VENV) maturin develop --release --locked --skip-install
	@$(IN_VENV) pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: missing-extension
missing-extension:
