# `make` alone lists the targets. What a target needs it sets up first; a second call is instant.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo unit test check format bench soak stateful mutations faults chaos matrix histories architecture connector live sandbox screenshots package lock outdated licences sbom audit infra templates snapshots clean

AXE_CORE := 4.14.1
AZURITE := 3.37.0
PYTHON := .venv/bin/python
PACKAGES := .venv/.packages-installed
COMMAND := .venv/bin/linker
INFRA_TOOLS := .tools/infra/.installed
KUSTO := 12.4.1
CYCLONEDX := 7.5.0
PIP_AUDIT := 2.10.1
AUDIT := .tools/audit/.installed-$(PIP_AUDIT)
SBOM := .tools/sbom/.installed-$(CYCLONEDX)
WORKERS := 4
TOOLS := .tools/.azurite-$(AZURITE)-installed
AXE := .tools/axe-core/.$(AXE_CORE)-installed

help: ## list the targets
	@echo "make <target>:"
	@sed -n 's/^\([a-z]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(PACKAGES) $(COMMAND) $(TOOLS) ## install Python packages and the command linker into .venv, and Azurite into .tools
	@:

demo: setup ## run the whole thing on generated data; demo LOAD=../data takes a folder, demo KEEP=1 leaves it running
	@$(PYTHON) -m sandbox demo $(if $(LOAD),--load "$(LOAD)") $(if $(KEEP),--keep)

unit: $(PACKAGES) ## test the pure core in less than 20 seconds; the simulation of the pace runs in `make test` only
	@$(PYTHON) -m pytest -q tests/core tests/entrypoints/portal/views --ignore tests/core/throttling/test_pace_simulation.py

test: setup check $(AXE) ## all checks, then all tests
	@scripts/find-chromium --install | sed 's/^/The browser tests run in /'
	@echo "Running the tests, a file at a time on each of $(WORKERS) processors at most"
	@$(PYTHON) -m pytest -q -n auto --maxprocesses $(WORKERS) --dist loadfile

check: $(PACKAGES) ## format, lint, types, import contracts, prose
	@echo "Checking format, lint, types, import contracts and prose"
	@.venv/bin/ruff format --check --quiet . || { echo "Files are not formatted: run 'make format'." >&2; exit 1; }
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy --no-error-summary
	@.venv/bin/lint-imports --no-logo
	@$(PYTHON) scripts/prose.py
	@.venv/bin/bandit --quiet --recursive --configfile pyproject.toml linker function_app.py scripts

bench: setup ## measure beside peers and against the limits of Dataverse; bench FULL=1 takes a million rows
	@$(PYTHON) -m bench $(if $(FULL),--full)

soak: setup ## follow 200 unifications of 50,000 rows and see what grows; most of an hour
	@$(PYTHON) -m bench.soak

stateful: setup ## look for a schedule of changes, runs and crashes that leaves a wrong link; most of an hour
	@HYPOTHESIS_PROFILE=long $(PYTHON) -m pytest -q tests/model_checking/test_link_machine.py

mutations: setup ## take each decision of docs/dev/proofs.md back in a copy and see that its tests notice; some minutes
	@$(PYTHON) -m tests.mutations $(ONLY)

faults: setup ## faults at every step of a run, in docs/dev/reliability.md; faults ONLY="late_commit / write", REST=1, SEEDS=3
	@$(PYTHON) -m tests.faults $(if $(REST),--rest) $(if $(SEEDS),--seeds "$(SEEDS)") $(if $(ONLY),"$(ONLY)")

chaos: setup ## 200 seeded scenarios of faults, crashes and clocks, in docs/dev/reliability.md; chaos SCENARIOS=20 FIRST=50 REST=1
	@$(PYTHON) -m tests.chaos $(if $(SCENARIOS),$(SCENARIOS)) $(if $(FIRST),--first $(FIRST)) $(if $(REST),--rest)

matrix: setup ## the main job over every kind of table, every switch and 200 combinations; matrix ONLY=page_max
	@$(PYTHON) -m tests.matrix $(ONLY)

architecture: $(PACKAGES) ## draw the pictures of docs/dev/architecture.md from the code
	@$(PYTHON) scripts/architecture.py

histories: setup ## record again what the replay tests replay, after the orchestrators changed on purpose
	@$(PYTHON) -m tests.history_replay.record

connector: $(PACKAGES) ## write the definition of the Power Automate connector from the OpenAPI document
	@$(PYTHON) scripts/connector.py

screenshots: setup ## take the pictures of the status page in docs/screenshots again; needs Chromium
	@$(PYTHON) -m tests.browser.screenshots

live: $(PACKAGES) ## ask a real Dataverse (LINKER_DATAVERSE_URL) what is not proved yet, reading only: docs/dev/live.md
	@$(PYTHON) -m tests.live $(ARGS)

format: $(PACKAGES) ## format the code and sort its imports
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix --quiet .

sandbox: setup ## serve a local Dataverse on port 8050 until Ctrl-C
	@$(PYTHON) -m sandbox serve --port 8050 $(if $(LOAD),--load "$(LOAD)")

package: ## build the deployment package dist/linker.zip; package BACKEND=DurableTaskScheduler for that backend
	@scripts/package $(if $(BACKEND),--backend "$(BACKEND)")

lock: $(PACKAGES) ## write requirements.lock: what the package is built from and tests run with; lock UPGRADE=1 takes the newest
	@$(PYTHON) scripts/lock.py $(if $(UPGRADE),--upgrade)

outdated: $(PACKAGES) ## ask the package index and the compiler what is newer than a decision of ours
	@$(PYTHON) -m pytest -q tests/infra/outdated.py

licences: $(PACKAGES) ## write docs/licences.md: the licences of what the package is built from
	@$(PYTHON) scripts/licences.py > docs/licences.md

sbom: $(SBOM) ## write dist/sbom.json: what the package is built from, as CycloneDX with hashes
	@mkdir -p dist
	@.tools/sbom/bin/cyclonedx-py requirements requirements.lock --output-reproducible --output-file dist/sbom.json
	@echo "dist/sbom.json"

audit: $(AUDIT) ## ask the advisory database for known weaknesses of what the package is built from
	@.tools/audit/bin/pip-audit --requirement requirements.lock --require-hashes --disable-pip --progress-spinner off

infra: $(PACKAGES) $(INFRA_TOOLS) ## check the templates, the package and the queries with every tool there is
	@$(PYTHON) -m pytest -q tests/infra

templates: ## write what is derived from infra/main.bicep: parameters by environment variable, azd's template, azuredeploy.json
	@"$$(scripts/find-python)" scripts/templates.py

snapshots: ## write what dev, prod and azd would deploy, to be reviewed as a difference
	@scripts/snapshots overwrite

clean: ## remove what make has made
	rm -rf .venv .tools .sandbox dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The lock as constraints: what is tested here is what is deployed. Without hashes, which are those of Linux wheels.
$(PACKAGES): requirements.txt requirements-dev.txt requirements.lock
	@python=$$(scripts/find-python) || exit 1; \
	if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then \
	  echo "Creating .venv with $$python"; "$$python" -m venv --clear .venv || exit 1; \
	fi
	@echo "Installing Python packages into .venv (about a minute)"
	@sed 's/ --hash=.*//' requirements.lock > .venv/.locked.txt
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-input --requirement requirements-dev.txt --constraint .venv/.locked.txt \
	  || { echo "pip could not install the packages: see its message above. Run 'make setup' again once that is fixed." >&2; exit 1; }
	@touch $@

# An editable install: .venv/bin/linker runs the code of this folder.
$(COMMAND): $(PACKAGES)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-input --no-deps --editable . \
	  || { echo "pip could not install the command linker: see its message above. Run 'make setup' again once that is fixed." >&2; exit 1; }
	@touch $@

$(TOOLS):
	@scripts/check-node
	@echo "Installing Azurite $(AZURITE) into .tools (about half a minute)"
	@npm install --prefix .tools --no-save --no-audit --no-fund --no-update-notifier --loglevel=error azurite@$(AZURITE) >/dev/null \
	  || { echo "npm could not install Azurite: see its message above. Run 'make setup' again once that is fixed." >&2; exit 1; }
	@touch $@

$(AXE):
	@scripts/check-node
	@echo "Installing axe-core $(AXE_CORE) into .tools (some seconds)"
	@npm install --prefix .tools/axe-core --no-save --no-audit --no-fund --no-update-notifier --loglevel=error axe-core@$(AXE_CORE) >/dev/null \
	  || { echo "npm could not install axe-core: see its message above. Run make again once that is fixed." >&2; exit 1; }
	@touch $@

$(SBOM):
	@echo "Installing cyclonedx-bom $(CYCLONEDX) into .tools (some seconds)"
	@$$(scripts/find-python) -m venv .tools/sbom
	@.tools/sbom/bin/pip install --quiet --disable-pip-version-check --no-input cyclonedx-bom==$(CYCLONEDX)
	@touch $@

$(AUDIT):
	@echo "Installing pip-audit $(PIP_AUDIT) into .tools (some seconds)"
	@$$(scripts/find-python) -m venv .tools/audit
	@.tools/audit/bin/pip install --quiet --disable-pip-version-check --no-input pip-audit==$(PIP_AUDIT)
	@touch $@

$(INFRA_TOOLS): requirements-infra.txt
	@scripts/check-node
	@echo "Installing checkov, azure-functions-doctor and the Kusto parser into .tools (about a minute)"
	@$$(scripts/find-python) -m venv .tools/infra
	@.tools/infra/bin/pip install --quiet --disable-pip-version-check --no-input --requirement requirements-infra.txt
	@npm install --prefix .tools/kusto --no-save --no-audit --no-fund --no-update-notifier --loglevel=error @kusto/language-service-next@$(KUSTO) >/dev/null
	@touch $@
