# WhatsAI's commands. `make` lists them; `make run` and `make test` need Python 3.11+ and nothing else.

PORT ?= 8000
ARGS ?=
PY := .venv/bin/python

# `make` uses the first of these that is 3.11+ and can create virtual environments; PYTHON=… chooses another.
PYTHONS := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
install = @for needs in 'import ensurepip, venv' pass; do for python in $(PYTHONS); do \
	"$$python" -c "$$needs; $(NEW_ENOUGH)" >/dev/null 2>&1 && exec "$$python" -I whatsai/install.py $(1); done; done; \
	echo "make: Python 3.11 or newer is required (tried: $(PYTHONS)); choose one with PYTHON=…" >&2; exit 1

# Production settings for the checks that depend on settings; the database is empty and in memory.
PRODUCTION = ENV_FILE=/dev/null DEBUG=false HTTPS=true DATABASE_URL=sqlite://:memory: REDIS_URL= \
	SECRET_KEY=$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(50))')

.DEFAULT_GOAL := help
.PHONY: help run test check bench bench-admin bench-api bench-ingest bench-inbox bench-logs bench-metrics bench-scale bench-streams screenshots soak stack simulate messages lock clean venv run-venv dev-venv bench-venv

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "  Variables: PORT=8001 (run, stack), ARGS='-k webhook' (passed on to the command), PYTHON=python3.12."

run: run-venv ## set up, load the demo once, serve at http://127.0.0.1:8000
	@exec $(PY) -m whatsai.quickstart --port "$(PORT)" $(ARGS)

# One process more than there are cores (tests/conftest.py); idle processes take tests from busy ones.
PARALLEL = -n auto --dist worksteal

# Compiled modules are kept, because the tests start many processes of Python.
test: export PYTHONDONTWRITEBYTECODE =
test: dev-venv ## run all tests on SQLite, then on PostgreSQL and Valkey
	@echo "=== SQLite, no servers"; \
	env -u DATABASE_URL -u REDIS_URL $(PY) -m pytest $(PARALLEL) $(ARGS); sqlite=$$?; \
	echo "=== PostgreSQL and Valkey"; \
	$(PY) -m tests.servers $(PY) -m pytest $(PARALLEL) $(ARGS); servers=$$?; \
	echo "=== exit status on SQLite: $$sqlite, on PostgreSQL and Valkey: $$servers"; \
	test "$$sqlite$$servers" = 00

check: dev-venv ## check lint, format, types, imports, migrations, deployment settings, API schema
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	@echo "$(PY) -m mypy"; $(PRODUCTION) $(PY) -m mypy
	.venv/bin/lint-imports
	$(PY) -m pytest -q -p no:cacheprovider tests/test_imports.py
	@echo "manage.py makemigrations --check"; $(PRODUCTION) $(PY) manage.py makemigrations --check --dry-run
	@echo "manage.py check --deploy"; $(PRODUCTION) $(PY) manage.py check --deploy --fail-level WARNING
	@echo "manage.py spectacular"; $(PRODUCTION) $(PY) manage.py spectacular --validate --fail-on-warn --file /dev/null

# The libraries to compare with, and matplotlib, are installed in an environment of their own.
BENCH = .venv-bench/bin/python
bench: bench-venv ## compare the cache with other libraries; writes docs/benchmarks.md and .svg (8 minutes; ARGS=--quick)
	@exec $(BENCH) -m tests.benchmarks.cache $(ARGS)

bench-admin: dev-venv ## measure the pages of the admin with 1,000,000 conversations; writes docs/benchmarks-admin.md (60 minutes, 12 GB of disk)
	@exec $(PY) -m tests.benchmarks.admin $(ARGS)

bench-api: bench-venv ## compare answers of the API with constants and other libraries; writes docs/benchmarks-api.md (30 minutes; ARGS=--pairs=1000)
	@exec $(BENCH) -m tests.benchmarks.api $(ARGS)

bench-ingest: dev-venv ## measure ingestion and the API; fail below the required rates
	@exec $(PY) -m tests.benchmarks.ingest $(ARGS)

bench-inbox: dev-venv ## measure ingestion with small and large tables; writes docs/benchmarks-inbox.md (10 minutes)
	@exec $(PY) -m tests.benchmarks.inbox $(ARGS)

bench-logs: bench-venv ## compare the logs with other libraries; writes docs/benchmarks-logs.md (2 minutes; ARGS=--quick)
	@exec $(BENCH) -m tests.benchmarks.logs $(ARGS)

bench-metrics: dev-venv ## measure a scrape of /metrics with few and many numbers; writes docs/benchmarks-metrics.md (2 minutes)
	@exec $(PY) -m tests.benchmarks.metrics $(ARGS)

bench-scale: dev-venv ## measure the API with 10,000,000 messages; writes docs/benchmarks-scale.md (30 minutes, 20 GB of disk)
	@exec $(PY) -m tests.benchmarks.scale $(ARGS)

bench-streams: dev-venv ## measure event streams and the web server; writes docs/benchmarks-streams.md (5 minutes)
	@exec $(PY) -m tests.benchmarks.streams $(ARGS)

screenshots: dev-venv ## photograph the demo in Chromium; writes docs/*.png
	@SCREENSHOTS=docs $(PY) -m tests.servers $(PY) -m pytest -q tests/browser/test_screenshots.py $(ARGS)

DURATION ?= 60
soak: dev-venv ## check every read for staleness while Valkey and the writers fail, for DURATION=60 seconds
	@exec $(PY) -m tests.soak --duration "$(DURATION)" $(ARGS)

messages: dev-venv ## find all texts, update the catalogues of translations and compile them
	@$(PRODUCTION) $(PY) -m tests.languages

# Lock files for all platforms and Python 3.11+; each is constrained by the one before. ARGS=--upgrade upgrades.
COMPILE = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $(ARGS) \
	pyproject.toml
LOCKS = whatsai/requirements.txt whatsai/requirements-otel.txt whatsai/requirements-s3.txt tests/requirements.txt tests/benchmarks/requirements.txt
lock: venv ## compile the lock files from pyproject.toml and tests/benchmarks/requirements.in
	@$(PY) -I -m pip install --quiet uv
	$(COMPILE) -o whatsai/requirements.txt
	$(COMPILE) --extra otel -c whatsai/requirements.txt -o whatsai/requirements-otel.txt
	$(COMPILE) --extra s3 -c whatsai/requirements.txt -o whatsai/requirements-s3.txt
	$(COMPILE) --group dev -c whatsai/requirements-otel.txt -c whatsai/requirements-s3.txt -o tests/requirements.txt
	$(COMPILE) tests/benchmarks/requirements.in --group test -c tests/requirements.txt -o tests/benchmarks/requirements.txt
	@! grep -n '://' $(LOCKS) tests/benchmarks/node/package-lock.json || { echo "make: a lock file contains a URL" >&2; exit 1; }

stack: dev-venv ## run the production topology here: PostgreSQL, Valkey, web processes, ingest workers, the demo
	@exec $(PY) -m tests.devstack --port "$(PORT)" $(ARGS)

RATE ?= 500
SITE = env -u DATABASE_URL -u REDIS_URL ENV_FILE=var/stack/env
simulate: dev-venv ## post to a running stack as Evolution does, then verify: RATE=500 requests a second for DURATION=60 seconds
	@test -f var/stack/env || { echo "make: no stack runs here; start one: make stack" >&2; exit 1; }
	@exec $(SITE) $(PY) -m tests.load --url "http://127.0.0.1:$(PORT)" --rate "$(RATE)" --seconds "$(DURATION)" $(ARGS)

clean: ## remove virtual environments and caches; keep var/ (database, logs)
	rm -rf .venv .venv-bench .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	$(call install)
run-venv:
	$(call install,whatsai/requirements.txt)
dev-venv:
	$(call install,tests/requirements.txt)
bench-venv:
	$(call install,tests/benchmarks/requirements.txt .venv-bench)
