# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
WORKERS ?= 2

.PHONY: demo test lint types static behaviour programs bench docs example golden clean help

help:
	@echo "make demo   render the example farm for all vendors, checked, into outputs/"
	@echo "make test   run every check and test; installs what they need"
	@echo "make bench  measure start-up and throughput into docs/performance.md"
	@echo "make docs   build the documentation's pages into site/"

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements/run.txt setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install -r requirements/run.txt
	@touch $@

$(VENV)/test.stamp: requirements/test.txt requirements/run.txt requirements/docs.txt | $(BIN)/python
	$(PIP) install -r requirements/test.txt
	$(PIP) install --no-deps bigsuds==1.0.6  # it asks for suds-jurko, which no longer builds; suds has its place
	@touch $@ $(VENV)/run.stamp

# A strict editable install links the files that exist when it is made: it is made again each time.
.PHONY: editable
editable: | $(BIN)/python
	$(PIP) install --no-deps -e .

demo: $(VENV)/run.stamp editable
	@tests/tools/debian-packages haproxy=haproxy nginx=nginx,libnginx-mod-stream
	$(BIN)/nlbgen check -s examples/farm.yaml
	$(BIN)/nlbgen render all -s examples/farm.yaml -o outputs

programs:
	@tests/tools/debian-packages haproxy=haproxy nginx=nginx,libnginx-mod-stream redis-server=redis-server \
	    node=nodejs npm=npm strace=strace wrk=wrk keepalived=keepalived ip=iproute2 sysctl=procps curl=curl socat=socat zsh=zsh fish=fish \
	    chromium=chromium chromedriver=chromium-driver pdftotext=poppler-utils groff=groff-base
	$(PYTHON) tests/tools/programs.py

test: $(VENV)/test.stamp editable programs lint types static behaviour

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/test.stamp editable
	$(BIN)/mypy

static: $(VENV)/test.stamp editable
	$(BIN)/python -m pytest -q -n $(WORKERS) --ignore tests/behaviour

# What counts failures under load runs alone; the rest mostly waits, and runs together.
behaviour: $(VENV)/test.stamp editable
	$(BIN)/python -m pytest -q tests/behaviour -m alone
	$(BIN)/python -m pytest -q -n $$((1 + $(WORKERS))) --dist loadgroup tests/behaviour -m "not alone"

bench: $(VENV)/test.stamp editable
	$(BIN)/python benchmarks/run.py

# The documentation as pages, into site/.
docs: $(VENV)/test.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet -f docs/site/mkdocs.yml

# What is committed of generated things: read the difference before committing it.
golden: $(VENV)/test.stamp editable
	$(BIN)/nlbgen render all -s examples/farm.yaml -o outputs/example
	$(BIN)/python -m pytest -q -n $(WORKERS) --ignore tests/behaviour --update-golden

clean:
	rm -rf $(VENV) build dist site *.egg-info outputs/haproxy outputs/nginx outputs/nodes .programs
