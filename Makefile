# Two commands do everything: `make sweep` and `make test`. Each sets up what it needs first.
PYTHON ?= python3.11
SPEC ?= sweeps/examples/quickstart.yaml
VENV := .venv
BIN := $(VENV)/bin
# The lock is its own constraint: a machine-wide one, which pip would add to it, could contradict a pin.
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check
NUM_PACKAGES = $(shell grep -c == requirements.lock)

.PHONY: help setup sweep ui test quick test-thorough test-faults lint docs system lock up down test-containers clean

help:  ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready  ## virtual environment with everything pinned in requirements.lock

$(VENV)/.ready: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not installed; the pinned torch has wheels for Python 3.11. Or: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	@echo "setting up, once: an environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@echo "installing the $(NUM_PACKAGES) packages of requirements.lock; downloading them is most of it"
	@PIP_CONSTRAINT=requirements.lock tests/show-installation.sh $(NUM_PACKAGES) $(PIP_INSTALL) --requirement requirements.lock
	@echo "installing this project"
	@PIP_CONSTRAINT=requirements.lock $(PIP_INSTALL) --quiet --no-deps --editable .
	@touch $@

sweep: setup  ## run the quickstart sweep (SPEC=file.yaml ARGS='--set ...' for another)
	$(BIN)/sweeps run $(SPEC) $(ARGS)

ui: setup  ## browse every trial in the MLflow UI, on loopback
	$(BIN)/sweeps ui

system:  # a browser and a PostgreSQL server for the tests, where Debian's packages can be installed
	@tests/install-system-packages.sh

test: setup system lint  ## format, lint, types, imports and all tests
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not cluster and not thorough_fault' $(ARGS)
	$(BIN)/python -m pytest -m 'cluster and not thorough_fault' $(ARGS)  # one Ray at a time: two would share ports

quick: lint  ## lint, and the unit tests of what changed
	@tests=$$(tests/list-changed.sh); \
	if [ -n "$$tests" ]; then $(BIN)/python -m pytest -q -n 2 $$tests $(ARGS); else echo "no unit test mirrors what changed"; fi

test-thorough: setup  ## the property tests with other examples each time
	$(BIN)/python -m pytest -n 2 tests/property --hypothesis-profile=thorough $(ARGS)

test-faults: setup system  ## every test that causes a fault: processes killed, servers taken away, disks filled
	$(BIN)/python -m pytest tests/faults tests/tracking $(ARGS)

lint: setup  ## ruff, mypy, import-linter
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: setup  ## write docs/reference/ anew from the code
	$(BIN)/python tests/reference.py

lock:  ## resolve pyproject.toml anew into requirements.lock
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[dev,optimizers,s3]'
	{ head -n 1 requirements.lock; $(BIN)/python -m pip freeze --exclude-editable; } > requirements.lock.new
	mv requirements.lock.new requirements.lock

COMPOSE := docker compose --file docker/compose.yaml

up:  ## build and start the service in containers (docker/README.md)
	@docker/write-secrets.sh
	$(COMPOSE) up --build --detach --wait $(ARGS)
	@echo "MLflow: http://127.0.0.1:$$(sed -n 's/^MLFLOW_PORT=//p' docker/.env | grep . || echo 5000), user admin, password in docker/.env"
	@echo "a sweep: $(COMPOSE) run --rm sweep submit --follow quickstart.yaml"

down:  ## stop the service; its data stays
	$(COMPOSE) --profile client down

test-containers: setup system  ## build, run, break and mend the service in real containers
	$(BIN)/python -m pytest tests/containers --override-ini addopts='--strict-markers --strict-config -ra --import-mode=importlib' $(ARGS)

clean:  ## remove the environment and caches; and, after asking, the data of the service in containers
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build ./*.egg-info
	@[ -e docker/.env ] || exit 0; \
	printf 'Also remove every sweep, model and password of the service in containers? Type yes: '; read -r answer; \
	[ "$$answer" = yes ] || { echo "kept"; exit 0; }; \
	$(COMPOSE) --profile client down --volumes && rm -f docker/.env
