# Everything sets itself up: a fresh clone needs Python 3.11+ and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SEED ?= 1
SCHEDULES ?= 1000
IMAGE ?= bazaar:dev
DOCKER_BUILD_FLAGS ?=
export PYTHONSAFEPATH := 1
# Processes start by the hundred: each would compile every module anew where Python may keep nothing.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help run test check fmt sim bench bench-long pictures e2e e2e-full e2e-matrix fuzz image manifests setup clean

help: ## show the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "bazaar needs Python 3.11 or newer; '$(PYTHON)' is older. Try: make PYTHON=python3.12 run"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

setup: $(VENV)/.ready ## make the virtual environment

run: setup ## a ring of 6 on this machine, trading
	$(BIN)/bazaar up --peers 6

# The files in order, those of whole rings before the many small ones: no worker has a long one at the end.
# Three on two cores: whole rings wait for each other, a quarter of the time.
test: setup ## all tests
	$(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder

check: setup ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: setup ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

sim: setup ## simulate: make sim SEED=42 SCHEDULES=10000
	$(BIN)/bazaar simulate --seed $(SEED) --schedules $(SCHEDULES) --jobs 2

fuzz: setup ## 100,000 random, malformed and oversized requests
	$(BIN)/python -m pytest -q tests/fuzz --requests 100000

$(VENV)/.bench: $(VENV)/.ready
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@

E2E = $(BIN)/python -m pytest --e2e tests/e2e -n $(LANES) --maxschedchunk 1 -ra $(if $(K),-k "$(K)")

# Tests wait for Kubernetes half of the time: two clusters at once are sooner done. Their eight nodes watch
# more files than many kernels let one user by default: fs.inotify.max_user_instances, often 128.
WATCHES := $(shell cat /proc/sys/fs/inotify/max_user_instances 2>/dev/null || echo 512)
LANES ?= $(shell test $(WATCHES) -ge 512 && echo 2 || echo 1)

e2e: setup ## drills on kind clusters, three of a kind; needs docker, kind, kubectl, helm
	$(E2E)

# Figures of a hundred are to be of a machine that does nothing else.
e2e-full: LANES := 0
e2e-full: setup ## the same, a hundred of a kind: takes ten hours, or make e2e-full K=graceful E2E_ADD=1
	E2E_FULL=1 $(E2E)

e2e-matrix: setup ## the same as e2e on each node image of NODES, one after the other
	@test -n "$(NODES)" || { echo "name node images: make e2e-matrix NODES='kindest/node:v1.30.13 kindest/node:v1.34.0'"; exit 2; }
	for image in $(NODES); do KIND_NODE_IMAGE=$$image E2E_ARTIFACTS=e2e-artifacts/$${image##*:} $(E2E) || exit 1; done

# Nothing is imported from the current folder unless it is said so.
BENCH := PYTHONPATH=$(CURDIR) $(BIN)/python -m bench

bench: $(VENV)/.bench ## goals and figures, about six minutes
	$(BENCH)

bench-long: $(VENV)/.bench ## also a million trades and a thousand kills
	$(BENCH) --long

pictures: setup ## the README's pictures, from a real ring; needs chromium
	PYTHONPATH=$(CURDIR) $(BIN)/python -m bench.pictures

image: ## the one image of operator, peers and command line
	docker build $(DOCKER_BUILD_FLAGS) --tag $(IMAGE) .

manifests: setup ## write anew what is made from other files: copies of the definition, the chart's pages
	PYTHONPATH=$(CURDIR) $(BIN)/python -m charts.generate

clean: ## remove the environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
