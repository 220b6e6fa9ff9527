# The environment is .venv; nothing is installed outside of it. PYTHON chooses the interpreter: 3.11 to 3.13.
PYTHON ?= python3
# Recipes name its programs by a relative path, which holds no spaces, wherever this folder is. PATH is for what those
# start: stages run `python`. (macOS's own make looks a recipe's program up in the old PATH.)
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# One thread pool a process; workers share the cores by themselves.
export MLFLOW_DISABLE_TELEMETRY := true
# Seven processes of MLflow's server for jobs of its GenAI side, which nothing here uses.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION := false
PORT ?= 5000
PIP := --quiet --disable-pip-version-check -c constraints.txt
# Where there is a C compiler, the second is compiled by the first.
COMPILED := $(wildcard setup.py src/chromascape/color/kernel.c)
# The programs of an environment name the folder that it was made in: in a project that was moved or copied it is new.
MOVED := $(shell test ! -s .venv/place || test "$$(cat .venv/place)" = "$$(pwd -P)" || echo moved)

.PHONY: moved run test lint docs bench fuzz audit upgrade release ui compare screenshots clean
.DELETE_ON_ERROR:

run: .venv/run.stamp  ## environment, then the whole pipeline, then a short table
	$(BIN)/chromascape check
	$(BIN)/dvc repro
	$(BIN)/chromascape summary

test: .venv/test.stamp  ## all tests
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder --durations=20 --cov --cov-report=term:skip-covered --cov-fail-under=90

lint: .venv/test.stamp  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/test.stamp  ## the documentation as a site, site/index.html; a warning is an error
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs site

bench: .venv/test.stamp  ## how fast it is, as ratios to the machine and to other ways: make bench OUTPUT=docs/performance.md
	$(BIN)/python benchmarks/speed.py $(if $(OUTPUT),-o "$(OUTPUT)")

fuzz: .venv/test.stamp  ## 10,000 hostile files through what the stages do with photos
	$(BIN)/python tests/fuzz.py

audit: .venv/run.stamp  ## known holes in the packages of constraints.txt; asks PyPI's database, so it needs the network
	$(BIN)/python -m pip install $(PIP) -e '.[audit]'
	$(BIN)/python .ci/audit.py

release: $(BIN)/python  ## the version into package, changelog and citation: make release VERSION=1.2.0
	$(BIN)/python .ci/version.py prepare "$(VERSION)"

upgrade: $(BIN)/python  ## the newest versions of all packages into constraints.txt
	$(BIN)/python .ci/upgrade.py

ui: .venv/run.stamp  ## MLflow's page on this machine only: make ui PORT=8080
	@PORT="$(PORT)" $(BIN)/python -m chromascape.tracking.page
	@# The warning is MLflow's matter, and would be printed once for each of its processes.
	PYTHONWARNINGS="ignore:starlette.middleware.wsgi is deprecated" \
		$(BIN)/mlflow ui --host 127.0.0.1 --port "$(PORT)" --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}" \
		|| { echo "error: no page at port $(PORT), see above; where another program has it: make ui PORT=5001"; exit 1; }

compare: .venv/run.stamp  ## experiments of this commit by gain on val, beside the shipped model and gray
	$(BIN)/python experiments/compare.py

screenshots: .venv/test.stamp  ## the pictures of docs/images, from the runs and pages that are here
	$(BIN)/python docs/screenshots.py

clean:  ## remove the environment; photos, models and runs stay
	rm -rf .venv build src/chromascape/color/_kernel.*

moved:
	@echo "this folder was moved or copied: its environment .venv is made again"
	rm -rf .venv

$(BIN)/python: $(MOVED)
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "error: Python 3.11 to 3.13 is needed, $(PYTHON) is another: make PYTHON=python3.11"; exit 1; }
	"$(PYTHON)" -m venv .venv
	@# The pip that comes with Python 3.11 takes much longer to find the packages' versions.
	$(BIN)/python -m pip install $(PIP) pip==25.3

.venv/run.stamp: pyproject.toml $(COMPILED) constraints.txt $(MOVED) | $(BIN)/python
	$(BIN)/python -m pip install $(PIP) -e '.[pipeline,sample]'
	@pwd -P > .venv/place
	@touch $@

.venv/test.stamp: pyproject.toml $(COMPILED) constraints.txt $(MOVED) | $(BIN)/python
	$(BIN)/python -m pip install $(PIP) -e '.[dev]'
	@pwd -P > .venv/place
	@touch .venv/run.stamp $@
