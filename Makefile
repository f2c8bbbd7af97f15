# Two commands matter: `make run` and `make test`. Both set everything up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SAMPLE := lake
BASELINE := experiments/msm/msm_v1_baseline.yaml
DOCS := README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md docs experiments .github bench/calibration_text.md
# A lock file is complete: nothing is resolved, and each file must have a hash that it names.
INSTALL := -m pip install --quiet --disable-pip-version-check --no-deps
LOCKED = $$(grep -c "^[a-z0-9].*==" $(1))
INSTALL_LOCK := $(INSTALL) --require-hashes --only-binary :all: --requirement
SOURCES_ONLY := odfpy,wtforms-json
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-build --generate-hashes \
	--no-strip-extras --no-annotate --custom-compile-command "make lock" $(UPGRADE)

.PHONY: run test test-all lint-sql lint-others test-ray ray bench calibrate sample-null lint format coverage setup lock schema docs site superset-demo clean help

run: setup $(SAMPLE)/lake.yaml  ## Set up, write the sample lake, run the baseline, show the result
	@echo "Running $(BASELINE) on $(SAMPLE)/"
	@$(BIN)/msm run $(BASELINE) --lake $(SAMPLE)

test: setup lint  ## Set up and pass all tests (those on a real lake need ../shared/lake)
	$(BIN)/pytest --numprocesses 2 --dist loadfile

test-all: $(VENV)/slow-installed $(VENV)-mlflow/installed $(VENV)-superset/installed lint  ## The slow tests too: simulations, isolation, Ray, S3, browser, servers
	$(BIN)/pytest --numprocesses 2 --dist loadfile -m "slow or not slow"

test-ray: ray  ## Sweeps on a Ray cluster, one of its nodes killed
	$(BIN)/pytest tests/pipeline/test_ray.py -m "slow or not slow"

bench: setup  ## Wall time, CPU time and memory of the main jobs
	$(BIN)/python bench/bench.py $(if $(LAKE),--lake $(LAKE))
	$(BIN)/mdformat docs/performance.md

calibrate: setup  ## How often tests of edges err and what they find: docs/calibration.md (20 minutes)
	$(BIN)/python bench/calibrate.py
	$(BIN)/mdformat docs/calibration.md

sample-null: setup  ## Two hundred lakes without an edge: docs/sample-null.md (half an hour)
	$(BIN)/python bench/sample_null.py
	$(BIN)/mdformat docs/sample-null.md

lint: setup  ## ruff, mypy, imports, sqlfluff, generated files, the form of the docs, spelling
	@$(MAKE) --no-print-directory --jobs=2 lint-sql lint-others

lint-sql:
	$(BIN)/sqlfluff lint models macros tests/dbt

lint-others:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/mdformat --check $(DOCS)
	$(BIN)/codespell
	$(BIN)/python -m msm_py.cli.schema --check

format: setup  ## Let ruff, sqlfluff and mdformat write what they would ask for
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix models macros tests/dbt
	$(BIN)/mdformat $(DOCS)

docs: setup  ## dbt's documentation as one page: target/static_index.html
	$(BIN)/dbt docs generate --static

superset-demo: setup $(VENV)-superset/installed  ## Apache Superset on 127.0.0.1:8088 with a dashboard of the warehouse
	@$(BIN)/python docs/examples/superset/demo.py

site: $(VENV)-docs/installed  ## The docs as a web site, with the reference of msm_py: site/index.html
	$(VENV)-docs/bin/python docs/build_site.py

# environments of their own, beside MSM's; two packages of Superset's come as sources only
$(VENV)-%/installed: requirements-%.lock
	@echo "Setting up $(VENV)-$* with the $(call LOCKED,$<) packages of $<"
	@$(PYTHON) -m venv $(VENV)-$*
	@$(VENV)-$*/bin/python $(INSTALL_LOCK) $< $(if $(filter superset,$*),--no-binary $(SOURCES_ONLY))
	@touch $@

coverage: setup  ## How much of msm_py the tests reach
	$(BIN)/pytest --numprocesses 2 --dist loadfile --cov --cov-report term:skip-covered

setup: $(VENV)/installed

$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "MSM needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) -V)"
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing the $(call LOCKED,requirements.lock) packages of requirements.lock: about a minute"
	@$(BIN)/python $(INSTALL_LOCK) requirements.lock
	@$(BIN)/python $(INSTALL) --editable .
	@touch $@

ray: $(VENV)/ray-installed  ## Install Ray too, for `msm sweep --executor ray`

$(VENV)/ray-installed: requirements-ray.lock $(VENV)/installed
	@echo "Installing Ray and what it needs, from requirements-ray.lock"
	@$(BIN)/python $(INSTALL_LOCK) requirements-ray.lock
	@touch $@

$(VENV)/slow-installed: requirements-slow.lock $(VENV)/installed
	@echo "Installing what the slow tests need beside, from requirements-slow.lock"
	@$(BIN)/python $(INSTALL_LOCK) requirements-slow.lock
	@touch $@

$(SAMPLE)/lake.yaml: | setup
	@echo "Writing the sample lake to $(SAMPLE)/"
	@$(BIN)/msm lake sample $(SAMPLE)

lock: setup  ## Write the lock files; UPGRADE=--upgrade takes the newest versions in the ranges
	$(COMPILE) --extra dev --output-file requirements.lock pyproject.toml
	$(COMPILE) --extra dev --extra ray --constraint requirements.lock \
		--output-file requirements-ray.lock pyproject.toml
	$(COMPILE) --extra dev --extra slow --constraint requirements.lock \
		--output-file requirements-slow.lock pyproject.toml
	$(COMPILE) --group docs --output-file requirements-docs.lock
	$(COMPILE) --group mlflow --output-file requirements-mlflow.lock
	$(filter-out --no-build,$(COMPILE)) --group superset --output-file requirements-superset.lock

schema: setup  ## Write what is made from declarations: JSON Schema, contract, sources, tables in docs
	$(BIN)/python -m msm_py.cli.schema

clean:  ## Remove what runs and tests made, but not the environment
	rm -rf target logs warehouse runs site $(SAMPLE) .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
