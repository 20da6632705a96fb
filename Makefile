# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
WORKERS ?= 2
HOSTILE ?= 1000
FLOOR_DECIDING := 100
FLOOR := 95

# Tests start hundreds of commands, each of which would compile nlbgen again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo dist test check lint types alone together coverage long search hostile audit release mutants programs bench peers robots docs site golden clean help

help:
	@echo "make demo     render the example farm for all vendors, validated, into outputs/"
	@echo "make test     run every check and test; installs what they need"
	@echo "make check    lint, types, and the tests that need no other program"
	@echo "make mutants  change the code in small ways, and list what no test notices; takes hours"
	@echo "make long     the tests of which make test runs a part, then new examples for the property tests"
	@echo "make hostile  try a thousand damaged inputs of each kind; HOSTILE=5000 tries more"
	@echo "make release  the wheel, its SBOM and their checksums, into dist/"
	@echo "make dist     nlbgen.pyz, one file for this platform and this version of Python, and the release, into dist/"
	@echo "make bench    measure start-up and throughput into docs/performance.md"
	@echo "make peers    compare with other configurations for HAProxy and NGINX, into docs/performance.md"
	@echo "make robots   the manuals' configurations under robots, into docs/performance.md"
	@echo "make docs     build the documentation's pages into site/, with the page that runs nlbgen in site/app/"
	@echo "make site     build only that page"

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements/run.txt setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements/run.txt
	@touch $@

# bigsuds asks for suds-jurko, which no longer builds; suds has its place.
$(VENV)/test.stamp: requirements/test.txt requirements/bigsuds.txt | $(BIN)/python
	$(PIP) install --require-hashes -r requirements/test.txt
	$(PIP) install --require-hashes --no-deps -r requirements/bigsuds.txt
	@touch $@ $(VENV)/run.stamp $(VENV)/docs.stamp

$(VENV)/docs.stamp: requirements/docs.txt | $(BIN)/python
	$(PIP) install --require-hashes -r requirements/docs.txt
	@touch $@

$(VENV)/audit.stamp: requirements/audit.txt | $(BIN)/python
	$(PIP) install --require-hashes -r requirements/audit.txt
	@touch $@

# The pinned versions of requirements/*.in with the hashes of all their files, for every system.
.PHONY: requirements
requirements: | $(BIN)/python
	$(PIP) install uv==0.13.9
	for name in run docs test audit; do $(BIN)/uv pip compile --quiet --generate-hashes --universal --no-annotate --no-header \
	    --python-version 3.11 requirements/$$name.in -o requirements/$$name.txt || exit; done
	for name in bigsuds shiv; do $(BIN)/uv pip compile --quiet --generate-hashes --no-deps --no-annotate --no-header \
	    requirements/$$name.in -o requirements/$$name.txt || exit; done

# A strict editable install links the files that exist when it is made: it is made again each time.
.PHONY: editable
editable: | $(BIN)/python
	$(PIP) install --no-deps -e .

demo: $(VENV)/run.stamp editable
	@tests/tools/debian-packages haproxy=haproxy nginx=nginx,libnginx-mod-stream
	@$(BIN)/nlbgen render all -s examples/farm.yaml -o outputs
	@$(BIN)/nlbgen report -s examples/farm.yaml -o outputs/report.html
	@echo "Done. Open outputs/report.html in a browser, and outputs/haproxy/INSTALL.md in an editor."
	@echo "For the command nlbgen in this shell: . $(BIN)/activate"

programs: $(VENV)/test.stamp
	@tests/tools/debian-packages haproxy=haproxy nginx=nginx,libnginx-mod-stream redis-server=redis-server \
	    cc=gcc,libc6-dev node=nodejs npm=npm strace=strace wrk=wrk keepalived=keepalived ip=iproute2 sysctl=procps curl=curl socat=socat zsh=zsh fish=fish \
	    chromium=chromium chromedriver=chromium-driver pdftotext=poppler-utils groff=groff-base tclsh=tcl minisign=minisign \
	    /usr/lib/nagios/plugins/check_tcp=monitoring-plugins-basic prometheus=prometheus promtool=prometheus \
	    prometheus-blackbox-exporter=prometheus-blackbox-exporter prometheus-nginx-exporter=prometheus-nginx-exporter \
	    prometheus-redis-exporter=prometheus-redis-exporter prometheus-node-exporter=prometheus-node-exporter
	$(PYTHON) tests/tools/programs.py
	$(BIN)/python tests/tools/npm.py tests/js tests/browser tests/page
	$(BIN)/python tests/tools/redis30.py

test: $(VENV)/test.stamp editable programs lint types alone together coverage

# For the minutes between two commits: no real program, no browser, no traffic, and each test function with one of its
# parameter sets.
check: lint types audit
	$(BIN)/python -m pytest -q -n $(WORKERS) --sample 1 --ignore tests/behaviour --ignore tests/browser \
	    -m "not slow and not long and not haproxy and not nginx and not redis and not tclsh and not minisign and not prometheus and not chromium"

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/test.stamp editable
	$(BIN)/mypy
	$(BIN)/mypy tests benchmarks

# What measures the machine or counts failures under load: one test at a time.
alone: $(VENV)/test.stamp editable
	$(BIN)/python -m pytest -q tests/behaviour tests/lint tests/readers -m "alone and not long"

# All others at once: those with traffic wait while the others compute.
together: $(VENV)/test.stamp editable
	$(BIN)/coverage erase
	$(BIN)/python -m pytest -q -n $$((2 + $(WORKERS))) --dist loadgroup -m "not alone and not long" \
	    --cov --cov-report=

# Branches that the tests reach: the rooms that decide what is rendered and changed, then all. A floor only goes up.
coverage:
	$(BIN)/coverage report --include "spec/*,generators/*,nodes/*" --fail-under $(FLOOR_DECIDING)
	$(BIN)/coverage report --fail-under $(FLOOR)

# Which changes of the code no test notices: ROOMS="spec/rules nodes:11" runs only those, of nodes/ each 11th. Hours for all.
mutants: $(VENV)/test.stamp editable
	$(BIN)/python tests/tools/mutants.py $(ROOMS)

# What `make test` runs only a part of: every call of a push with every fault, every rollout, every outage.
long: $(VENV)/test.stamp editable
	$(BIN)/python -m pytest -q tests/behaviour -m "alone and long"
	$(BIN)/python -m pytest -q -n $$((2 + $(WORKERS))) --dist loadgroup -m "not alone and long"
	$(MAKE) search

# New examples for the property tests, instead of the fixed ones of each run.
search: $(VENV)/test.stamp editable
	HYPOTHESIS_PROFILE=search $(BIN)/python -m pytest -q -n $(WORKERS) --ignore tests/behaviour -k properties

# Damaged specs, node files, archives and answers, and odd surroundings; `make test` tries a few of each.
hostile: $(VENV)/test.stamp editable
	NLBGEN_HOSTILE=$(HOSTILE) $(BIN)/python -m pytest -q -n $(WORKERS) tests/hostile

# Known vulnerabilities of what nlbgen runs with, where the Python Package Index can be reached.
audit: $(VENV)/audit.stamp
	$(BIN)/python tests/tools/audit.py

# The wheel, the SBOM (CycloneDX) and their checksums, into dist/: the same bytes each time.
release: $(VENV)/test.stamp
	rm -rf dist
	$(BIN)/python tests/tools/release.py dist

# nlbgen.pyz beside the release: lxml and cryptography are compiled, so it is for this platform and this version of Python.
dist: release
	$(BIN)/python tests/tools/pyz.py dist

bench: $(VENV)/test.stamp editable
	$(BIN)/python benchmarks/run.py

# The comparison with other configurations, also into docs/performance.md: 11 minutes; PEERS=--quick takes 3 and only prints.
peers: $(VENV)/test.stamp editable
	cd benchmarks && $(abspath $(BIN))/python -m peers $(PEERS)

# A node fails under robots, with nlbgen's and the manuals' configurations; about 6 minutes on an idle machine.
robots: $(VENV)/test.stamp editable
	cd benchmarks && $(abspath $(BIN))/python -m peers.robots $(ROBOTS)

# The documentation as pages, into site/.
docs: $(VENV)/docs.stamp $(VENV)/run.stamp editable
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet -f docs/site/mkdocs.yml
	$(MAKE) site

# The page that runs nlbgen in a browser, into site/app: Python for it comes from npm.
site: $(VENV)/docs.stamp $(VENV)/run.stamp editable
	$(BIN)/python -m tests.tools.page site/app

# What is committed of generated things: read the difference before committing it.
golden: $(VENV)/test.stamp editable
	$(BIN)/nlbgen render all -s examples/farm.yaml -o outputs/example
	$(BIN)/python -m pytest -q -n $(WORKERS) --ignore tests/behaviour --update-golden

clean:
	rm -rf $(VENV) .mutants build dist site *.egg-info outputs/haproxy outputs/nginx outputs/nodes .programs
