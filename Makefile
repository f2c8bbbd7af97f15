# Two commands matter: `make run` and `make test`. Both set everything up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SAMPLE := lake
BASELINE := experiments/msm/msm_v1_baseline.yaml

.PHONY: run test test-all test-ray ray bench calibrate sample-null lint format setup lock schema docs clean help

run: setup $(SAMPLE)/lake.yaml  ## Set up, write the sample lake, run the baseline, show the result
	$(BIN)/msm run $(BASELINE) --lake $(SAMPLE)

test: setup lint  ## Set up and pass all tests (those on a real lake need ../shared/lake)
	$(BIN)/pytest --numprocesses 2 --dist loadfile

test-all: ray lint  ## The slow tests too: simulations, DuckDB versions, isolation, Ray
	$(BIN)/pytest --numprocesses 2 --dist loadfile -m "slow or not slow"

test-ray: ray  ## Sweeps on a Ray cluster, one of its nodes killed
	$(BIN)/pytest tests/python/test_ray.py -m "slow or not slow"

bench: setup  ## Wall time, CPU time and memory of the main jobs
	$(BIN)/python bench/bench.py $(if $(LAKE),--lake $(LAKE))

calibrate: setup  ## How often tests of edges err and what they find: docs/calibration.md (20 minutes)
	$(BIN)/python bench/calibrate.py

sample-null: setup  ## Two hundred lakes without an edge: docs/sample-null.md (half an hour)
	$(BIN)/python bench/sample_null.py

lint: setup  ## sqlfluff, ruff, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint models macros tests/dbt

format: setup  ## Let ruff and sqlfluff write what they would ask for
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix models macros tests/dbt

docs: setup  ## dbt's documentation as one page: target/static_index.html
	$(BIN)/dbt docs generate --static

setup: $(VENV)/installed

$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "MSM needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

ray: $(VENV)/ray-installed  ## Install Ray too, for `msm sweep --executor ray`

$(VENV)/ray-installed: requirements-ray.lock $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-ray.lock
	@touch $@

$(SAMPLE)/lake.yaml: | setup
	$(BIN)/msm lake sample $(SAMPLE)

lock: setup  ## Resolve the pinned dependencies again, for all platforms
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra dev --no-annotate \
		--custom-compile-command "make lock" --output-file requirements.lock pyproject.toml
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra dev --extra ray --no-annotate \
		--constraint requirements.lock \
		--custom-compile-command "make lock" --output-file requirements-ray.lock pyproject.toml

schema: setup  ## Write the JSON Schema that completes experiment files in editors
	$(BIN)/python -m msm_py.experiment.json_schema > experiments/experiment.schema.json

clean:  ## Remove what runs and tests made, but not the environment
	rm -rf target logs warehouse runs $(SAMPLE) .pytest_cache .mypy_cache .ruff_cache .hypothesis

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
