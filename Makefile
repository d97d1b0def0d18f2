# Two commands matter: `make demo` and `make test`. Each needs only Python 3.11+ and installs the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-$(shell cat pyproject.toml scripts/setup.py | cksum | cut -d' ' -f1)

.PHONY: demo test lint fix docs postgres bench bench-serving clean
.DEFAULT_GOAL := help

help: ## show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

$(STAMP):
	$(PYTHON) scripts/setup.py $(VENV)
	@rm -f $(VENV)/.installed-* && touch $@

demo: $(STAMP) ## the main job on real data: train, deploy, predict, capture (about a minute)
	$(BIN)/python scripts/demo.py

test: lint ## everything that CI runs
	$(BIN)/python scripts/browser.py
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=20 --durations-min=15

lint: $(STAMP) ## format, lint, types, import rules, generated pages
	$(BIN)/ruff format --check src tests scripts benchmarks
	$(BIN)/ruff check src tests scripts benchmarks
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python scripts/supported.py --check

fix: $(STAMP) ## mend format and lint
	$(BIN)/ruff format src tests scripts benchmarks
	$(BIN)/ruff check --fix src tests scripts benchmarks

docs: $(STAMP) ## write the generated pages
	$(BIN)/python scripts/supported.py

postgres: $(STAMP) ## start a throw-away PostgreSQL and run the store suite against it
	$(BIN)/python scripts/postgres.py

bench: $(STAMP) ## measure; each file in benchmarks/ is one command of its own
	for file in benchmarks/*.py benchmarks/monitoring/*.py; do $(BIN)/python $$file || exit 1; done

bench-serving: $(STAMP) ## measure the data plane beside other model servers (20 minutes); BENCH="--rounds 1 --seconds 1" is a try
	$(BIN)/python -m benchmarks.serving $(BENCH)

clean: ## remove what was installed here
	rm -rf $(VENV)
