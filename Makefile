# The commands of a developer. `make` lists the targets.
.DEFAULT_GOAL := help
SHELL := bash
PYTHON ?= python3
VENV := .venv
PEERS := .venv-peers
BIN := $(VENV)/bin
UV := $(BIN)/uv
# A package index with CPU-only wheels of torch (saves about 4 GB); empty: the default index.
TORCH_INDEX ?=
# Processes compile our modules once, not at each start, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE
# The demo over Kafka: KAFKA=1 starts a broker on KAFKA_PORT, KAFKA=HOST:PORT uses yours.
KAFKA_PORT ?= 19092
BROKER = $(if $(filter 1,$(KAFKA)),127.0.0.1:$(KAFKA_PORT),$(KAFKA))
# The data folder of `make demo`, `make stack` and `make up`.
DATA ?= .tidewise
# Tests often wait for servers, so two processes more than cores: with more, children at low priority starve.
TEST_PROCESSES ?= $(shell echo $$(( $$(nproc) + 2 )))

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 26

$(UV):
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv$$(sed -n 's/^uv==/==/p' constraints.txt)"

comma := ,

define install
	@if [ -n "$(TORCH_INDEX)" ]; then \
	  $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --index-url $(TORCH_INDEX) torch $(2); fi
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '$(1)'
endef

$(VENV)/.installed: $(UV) pyproject.toml constraints.txt
	$(call install,.[drift])
	@touch $@

$(VENV)/.installed-kafka: $(VENV)/.installed
	$(call install,.[kafka$(comma)drift])
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(call install,.[kafka$(comma)postgres$(comma)drift$(comma)text$(comma)images$(comma)charts$(comma)oidc$(comma)docs$(comma)dev],torchvision)
	@touch $@ $(VENV)/.installed-kafka

# The environment of other libraries' models: RecTools wants numpy below 2.
$(PEERS)/.installed: $(UV) benchmarks/peers/constraints.txt
	$(PYTHON) -m venv $(PEERS)
	@if [ -n "$(TORCH_INDEX)" ]; then \
	  $(UV) pip install --quiet --python $(PEERS)/bin/python --constraint benchmarks/peers/constraints.txt --index-url $(TORCH_INDEX) torch; fi
	$(UV) pip install --quiet --compile-bytecode --python $(PEERS)/bin/python --constraint benchmarks/peers/constraints.txt \
	  'rectools[torch]' pyarrow
	@touch $@

.PHONY: peers
peers: $(PEERS)/.installed ## make .venv-peers, the environment of RecTools and implicit for `tidewise evaluate --model rectools:sasrec`

.PHONY: demo
demo: $(if $(KAFKA),$(VENV)/.installed-kafka,$(VENV)/.installed) ## run the demo: simulate a shop, train, serve, guided tour (EXIT=1: exit after the tour; KAFKA=1: over Kafka)
	$(if $(filter 1,$(KAFKA)),KAFKA_PORT=$(KAFKA_PORT) scripts/kafka.sh start)
	$(BIN)/tidewise demo --data $(DATA)/demo$(if $(KAFKA),-kafka --kafka $(BROKER)) $(if $(EXIT),--exit) $(ARGS) \
	  || status=$$?; $(if $(filter 1,$(KAFKA)),KAFKA_PORT=$(KAFKA_PORT) scripts/kafka.sh stop;) exit $${status:-0}

.PHONY: secrets
secrets: ## make the secrets of docker-compose.yml in deploy/secrets
	scripts/secrets.sh

.PHONY: stack
stack: $(VENV)/.installed-dev ## run the services of docker-compose.yml as local processes (BROKERS=3: three of Kafka; EXIT=1: exit after the demonstration)
	$(BIN)/python scripts/stack.py --data $(DATA)/stack $(if $(BROKERS),--brokers $(BROKERS)) $(if $(EXIT),--exit) $(ARGS)

.PHONY: up
up: $(VENV)/.installed ## start Tidewise on DATA (default: .tidewise)
	$(BIN)/tidewise up --data $(DATA) $(ARGS)

# Test processes run side by side: more threads in each would only wait for cores, and busily.
test: export OMP_NUM_THREADS = 1
test: export OPENBLAS_NUM_THREADS = 1
.PHONY: test
test: $(VENV)/.installed-dev ## run all tests but the long ones and those of the documentation site (ARGS="-k NAME": some)
	$(BIN)/pytest --tx '$(TEST_PROCESSES)*popen//python=$(BIN)/python tests/services/forked_interpreter.py' \
	  --dist loadfile --no-loadscope-reorder -m "not long and not site" $(ARGS)

.PHONY: test-fast
test-fast: $(VENV)/.installed-dev ## run the fast unit tests; they need no services
	$(BIN)/pytest tests/unit -m "not slow" $(ARGS)

.PHONY: test-long
test-long: $(VENV)/.installed-dev ## run the tests that take too long for each change; every night in CI
	$(BIN)/pytest -m long $(ARGS)

.PHONY: test-crash
test-crash: $(VENV)/.installed-dev ## run the crash tests: kill the server 20 times under load (CRASHES=N)
	CRASHES=$(or $(CRASHES),20) $(BIN)/pytest tests/crash $(ARGS)

.PHONY: check
check: lint types contracts docs ## lint, format, types, layer contracts, documentation site

.PHONY: lint
lint: $(VENV)/.installed-dev ## lint, and whether the code is formatted
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(VENV)/.installed-dev ## check the types
	$(BIN)/mypy

.PHONY: contracts
contracts: $(VENV)/.installed-dev ## check which package may import which
	$(BIN)/lint-imports

.PHONY: wheel-test
wheel-test: $(VENV)/.installed-dev ## install the wheel into an empty environment and run it there (ARGS=--demo: the demo too)
	$(BIN)/python scripts/wheel_test.py $(if $(TORCH_INDEX),--torch-index $(TORCH_INDEX)) $(ARGS)

.PHONY: image-test
image-test: $(VENV)/.installed-dev ## run the steps of the Dockerfile in an empty folder, without a container engine, and try the result
	$(BIN)/python scripts/image_test.py $(if $(TORCH_INDEX),--torch-index $(TORCH_INDEX)) $(ARGS)

.PHONY: lock
lock: $(UV) ## write deploy/requirements.txt and deploy/uv.txt, the versions and hashes of the image's packages
	$(PYTHON) scripts/lock.py

.PHONY: sbom
sbom: $(UV) ## write build/sbom.json, the bill of materials of the image's packages (CycloneDX)
	@mkdir -p build
	{ grep -v '^#' deploy/requirements.txt; grep '^torch==' constraints.txt; } >build/requirements.txt
	$(UV) tool run --from cyclonedx-bom==7.5.0 cyclonedx-py requirements --pyproject pyproject.toml \
	  --output-reproducible --output-file build/sbom.json build/requirements.txt

.PHONY: typescript
typescript: $(VENV)/.installed-dev ## generate TypeScript types of the API in build/typescript and check calls with them; needs npm
	$(BIN)/python scripts/typescript.py

.PHONY: docs
docs: $(VENV)/.installed-dev ## build the documentation site into build/site, without the network; dead links and anchors fail it
	NO_MKDOCS_2_WARNING=1 http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 $(BIN)/python -m mkdocs build $(ARGS)

.PHONY: docs-test
docs-test: docs ## build the documentation site and test it
	$(BIN)/pytest -q -m site tests/site --site build/site

.PHONY: format
format: $(VENV)/.installed-dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: bench-gate
bench-gate: $(VENV)/.installed-dev ## measure which challengers the gate promotes (ARGS="--events FILE --columns ...")
	$(BIN)/python -m benchmarks.gate_trial $(ARGS)

.PHONY: bench-experiments
bench-experiments: $(VENV)/.installed-dev ## measure false alarms, lifts found and off-policy errors of experiments (ARGS="--runs 100")
	$(BIN)/python -m benchmarks.experiments $(ARGS)

.PHONY: bench-promotions
bench-promotions: $(VENV)/.installed-dev ## measure requests during 20 promotions (ARGS="--data FOLDER", or ARGS="--distributed --apis 2")
	$(BIN)/python -m benchmarks.promotions $(ARGS)

.PHONY: screenshots
screenshots: $(VENV)/.installed-dev ## picture all pages, light, dark and phone, in build/screenshots and docs/images; needs Chromium
	SCREENSHOTS=build/screenshots $(BIN)/pytest -q tests/e2e/test_dashboard_pictures.py $(ARGS)

.PHONY: bench-scale
bench-scale: $(VENV)/.installed-dev ## measure the server at 10,000 to 1,000,000 items, and the floor (ARGS="--data FOLDER"; needs wrk)
	$(BIN)/python -m benchmarks.scale.floor
	$(BIN)/python -m benchmarks.scale $(ARGS)

.PHONY: bench-overload
bench-overload: $(VENV)/.installed-dev ## send three times the load that the machine carries for an hour (ARGS="--data FOLDER --minutes 60")
	$(BIN)/python -m benchmarks.endurance.overload $(ARGS)

.PHONY: bench-overload-kafka
bench-overload-kafka: $(VENV)/.installed-dev ## send three times the events that a worker carries through Kafka (ARGS="--minutes 2"; needs Java, Maven once, PostgreSQL)
	$(BIN)/python -m benchmarks.endurance.overload_kafka $(ARGS)

.PHONY: bench-overload-import
bench-overload-import: $(VENV)/.installed-dev ## import three large files at once beside normal load (ARGS="--data FOLDER --log FILE")
	$(BIN)/python -m benchmarks.endurance.overload_import $(ARGS)

.PHONY: bench-overload-webhook
bench-overload-webhook: $(VENV)/.installed-dev ## have thousands of alarms due at once for receivers that fail (ARGS="--data FOLDER --minutes 7")
	$(BIN)/python -m benchmarks.endurance.overload_webhook $(ARGS)

.PHONY: bench
bench: $(VENV)/.installed-dev ## measure ingestion, freshness and latency
	$(BIN)/python -m benchmarks.serving $(ARGS)

.PHONY: experiments
experiments: $(VENV)/.installed-dev ## make the tables of docs/evaluation.md from the data sets in DATA_DIR, resumable (TABLES="NAME ...")
	@test -n "$(DATA_DIR)" || { echo "expected DATA_DIR=FOLDER, the folder of the data sets; see docs/evaluation.md"; exit 2; }
	$(BIN)/python -m benchmarks.tables $(or $(TABLES),all) --data-dir $(DATA_DIR) --out $(DATA)/tables $(ARGS)

STEPS ?= 1000000
.PHONY: state-machine
state-machine: $(VENV)/.installed-dev ## random sequences of all use cases against plain Python, on each store (STEPS=N)
	$(BIN)/pytest --timeout 0 tests/contract/test_store_machine.py --machine-steps $(STEPS) $(ARGS)

EXAMPLES ?= 1000
.PHONY: properties
properties: $(VENV)/.installed-dev ## run the property tests with many examples each (EXAMPLES=N); `make test` tries 25
	EXAMPLES=$(EXAMPLES) $(BIN)/pytest --timeout 0 -m hypothesis tests/unit tests/contract $(ARGS)

N ?= 200
.PHONY: faults
faults: faults-embedded faults-distributed ## run both fault campaigns

.PHONY: faults-embedded
faults-embedded: $(VENV)/.installed-dev ## kill and suspend `tidewise up`, fill and slow its disk and set its clock wrong at random, alone and in pairs, under load; resumable (N=1000 ARGS="--seed 1")
	@mkdir -p build
	$(BIN)/python -m benchmarks.faults.embedded --faults $(N) $(ARGS)

.PHONY: faults-distributed
faults-distributed: $(VENV)/.installed-dev ## kill workers, broker, PostgreSQL, APIs, trainer and monitor under load, back up, and slow, silence or cut the network to PostgreSQL (ARGS=--quick)
	$(BIN)/python -m benchmarks.faults $(ARGS)

.PHONY: upgrade-test
upgrade-test: $(VENV)/.installed-dev ## replace the workers and APIs of another version one by one under load (OLD=a checkout of it)
	$(BIN)/python -m benchmarks.faults --old $(OLD) $(ARGS)

DATA ?= data
.PHONY: tutorial
tutorial: $(VENV)/.installed-dev ## run docs/tutorial.md also on the files of ml-1m and online-retail (DATA=FOLDER)
	TIDEWISE_DATA=$(abspath $(DATA)) $(BIN)/pytest --timeout 0 tests/integration/test_tutorial.py $(ARGS)

FUZZ ?= 30
.PHONY: fuzz
fuzz: $(VENV)/.installed-dev ## send valid and invalid requests made of the OpenAPI document to the API (FUZZ=N of each kind per operation, 10 N sequences)
	FUZZ=$(FUZZ) $(BIN)/pytest --timeout 0 tests/integration/test_bad_requests.py $(ARGS)

.PHONY: exactness
exactness: $(VENV)/.installed-dev ## replay a file through Kafka and compare the database with it (ARGS="--events FILE --columns USER,ITEM,TIME")
	$(BIN)/python -m benchmarks.exactness $(ARGS)

.PHONY: install
install: $(VENV)/.installed ## install Tidewise into .venv

.PHONY: clean
clean: ## delete the environment, caches and the data of the demo
	rm -rf $(VENV) $(PEERS) .cache .tidewise build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
