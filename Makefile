# Commands for people: `make run` tries it out, `make test` proves it. Needs Python 3.11, python3-venv and make, no more.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_OPTIONS ?=
TOOLS := poppler-utils mupdf-tools qpdf openssl libnss3-tools softhsm2 faketime strace
LIBRARIES := liblua5.3-0 libopentracing-c-wrapper0
PROGRAMS := pdfsig mutool qpdf openssl certutil softhsm2-util faketime strace

# A bundle carries its wheels in `wheels/`; then nothing is asked of any network.
WHEELS := $(wildcard wheels)
FROM := $(if $(WHEELS),--no-index --find-links=wheels,)
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
export PIP_ROOT_USER_ACTION := ignore

.DEFAULT_GOAL := run
.PHONY: run demo doctor chaos journeys cluster-test cluster-tools as-root test test-tools fuzz fuzz-pdf peers venv venv-dev lint format lock sbom bundle clean help

## run: build the environment if need be, then database, API, signer, worker and one dossier through the five steps
run: venv
	@exec $(BIN)/motcua up --demo

## demo: take one dossier through the five steps, on the running server or on its own; the exit status tells
demo: venv
	@exec $(BIN)/motcua demo

## doctor: say in plain words what is missing or wrong
doctor: venv
	@exec $(BIN)/motcua doctor

## chaos: 50 random kill -9 of API, signer, worker and PostgreSQL under a small load; SEED=N repeats a run, KILLS=N and LIVES=N change its size
chaos: venv-dev
	@exec $(BIN)/python -m loadtests.chaos --kills $(or $(KILLS),50) $(if $(SEED),--seed $(SEED),) $(if $(LIVES),--lives $(LIVES),)

## journeys: one dossier and a small batch through the whole product with each key holder, or HOLDER="upload pkcs11 csc sp769 vtss software"; BATCH=N
journeys: venv-dev
	@exec $(BIN)/python -m loadtests.journeys $(HOLDER) --batch $(or $(BATCH),5)

## cluster-test: scale-out on this machine, as root: rolling restart; primary, object node and API host killed; under load; PARTS=abcd, LIVES=N
cluster-test: as-root cluster-tools
	@PATH="$(CURDIR)/var/tools:$$PATH" MOTCUA_PATRONI=$(PATRONI)/bin/patroni \
	  exec $(BIN)/python -m loadtests.cluster $(if $(PARTS),--parts $(PARTS),) $(if $(LIVES),--lives $(LIVES),)

as-root:
	@[ "$$(id -u)" = 0 ] || { echo "Cần quyền root để tạo mạng riêng. / Root is needed, to make networks of its own."; exit 2; }

# Patroni has its own environment, where the database's user can reach it: it is no part of the product, nor of its tests.
PATRONI := /var/lib/motcua/patroni-$(shell sha256sum <deploy/cluster/patroni.lock | cut -c1-12)

## cluster-tools: what cluster-test runs beside the product: etcd and HAProxy out of Debian's packages, Patroni from PyPI
cluster-tools: venv-dev
	@$(call taken,etcd-server,usr/bin/etcd,etcd)
	@$(call taken,haproxy,usr/sbin/haproxy,haproxy)
	@! ldd "$$(PATH="var/tools:$$PATH" command -v haproxy)" | grep -q 'not found' \
	  || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -qq $(LIBRARIES) >/dev/null; }
	@[ -e $(PATRONI)/.built ] || { echo "… Patroni"; mkdir -p -m 711 $(dir $(PATRONI)) && /usr/bin/python3 -m venv --clear $(PATRONI) \
	  && $(PATRONI)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement deploy/cluster/patroni.lock \
	  && touch $(PATRONI)/.built; }

## test: everything that proves the product: linters, types, import contracts, then all tests
test: test-tools venv-dev bundle
	@echo "… ruff"; $(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .
	@echo "… basedpyright"; $(BIN)/basedpyright --level error
	@echo "… import-linter"; $(BIN)/lint-imports --no-cache >.import-linter.txt || { cat .import-linter.txt; exit 1; }; rm -f .import-linter.txt
	@echo "… deptry"; $(BIN)/deptry --no-ansi . 2>.deptry.txt || { cat .deptry.txt; exit 1; }; rm -f .deptry.txt
	@echo "… pytest, alone"; $(BIN)/python -m pytest -m alone $(PYTEST_OPTIONS)
	@echo "… pytest, two at a time"; exec $(BIN)/python -m pytest -m "not alone" --numprocesses 2 --dist loadfile $(PYTEST_OPTIONS)

## test-tools: the programs that judge signed PDFs from outside; installs them when run as root
test-tools:
	@$(call taken,prometheus,usr/bin/promtool,promtool)
	@missing=""; for program in $(PROGRAMS); do command -v $$program >/dev/null 2>&1 || missing="$$missing $$program"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	line="apt-get install -y --no-install-recommends $(TOOLS)"; \
	echo "Thiếu công cụ để kiểm thử:$$missing / Tools for the tests are missing:$$missing"; \
	if [ "$$(id -u)" = 0 ]; then \
	  echo "… $$line"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$line -qq >/dev/null; \
	else \
	  echo "Chạy lệnh này bằng root rồi thử lại. / Run this as root, then try again:"; echo "  $$line"; exit 2; \
	fi

# A program is taken out of Debian's package, which is not installed: that would make a user and start a server. No root.
# $(1) the package, $(2) the file in it, $(3) the program
define taken
command -v $(3) >/dev/null 2>&1 || [ -x var/tools/$(3) ] || { \
  echo "… $(3), từ gói $(1) / $(3), out of the package $(1)"; room="$$(mktemp -d)" && trap 'rm -rf "$$room"' EXIT; \
  get() { (cd "$$room" && apt-get -qq -o APT::Sandbox::User=root download $(1) >/dev/null 2>&1); }; \
  { get || { [ "$$(id -u)" = 0 ] && apt-get update -qq && get; }; } \
    && dpkg -x "$$room"/$(1)_*.deb "$$room" && install -D -m 755 "$$room/$(2)" var/tools/$(3) \
    || { echo "Không lấy được $(3); trên Debian: apt install $(1). / Could not fetch $(3); apt install $(1)."; exit 2; }; }
endef

# The environment is built anew only when a lock, the project file or the place has changed; the tests' one holds both.
venv:
	@want="$$(cat requirements.lock pyproject.toml | sha256sum | cut -c1-64) $(CURDIR)"; \
	if [ "$$(cat $(VENV)/.built 2>/dev/null)" = "$$want" ] && $(BIN)/python -c '' 2>/dev/null; then exit 0; fi; \
	$(call make_venv) && $(call install,requirements.lock) && printf '%s' "$$want" >$(VENV)/.built

venv-dev:
	@want="$$(cat requirements-dev.lock pyproject.toml | sha256sum | cut -c1-64) $(CURDIR)"; \
	base="$$(cat requirements.lock pyproject.toml | sha256sum | cut -c1-64) $(CURDIR)"; \
	if [ "$$(cat $(VENV)/.built-dev 2>/dev/null)" = "$$want" ] && $(BIN)/python -c '' 2>/dev/null; then exit 0; fi; \
	$(call make_venv) && $(call install,requirements-dev.lock) \
	  && printf '%s' "$$want" >$(VENV)/.built-dev && printf '%s' "$$base" >$(VENV)/.built

define make_venv
{ $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
    || { echo "Cần Python 3.11 trở lên (đặt PYTHON=...). / Python 3.11 or newer is needed (set PYTHON=...)."; exit 1; }; } \
  && { $(BIN)/python -m pip --version >/dev/null 2>&1 || { \
    echo "… Tạo môi trường Python trong $(VENV) / Making the Python environment in $(VENV)"; \
    $(PYTHON) -m venv --clear $(VENV) || { \
      echo "Không tạo được; trên Debian: apt install python3-venv. / On Debian: apt install python3-venv."; exit 1; }; }; }
endef

# uv comes first, by its own hash, and installs the rest in seconds; where it cannot, pip does in a minute or two.
define install
echo "… Cài $$(grep -c '^[a-z0-9]' $(1)) gói theo $(1) / Installing the packages of $(1)" \
  && awk '/^[A-Za-z0-9]/ { on = /^uv==/ } on' $(1) >$(VENV)/uv.txt \
  && $(PIP) install $(FROM) --require-hashes --only-binary :all: --no-compile --requirement $(VENV)/uv.txt \
  && { $(BIN)/uv pip install --quiet --no-cache --python $(BIN)/python $(FROM) --require-hashes --no-build --requirement $(1) \
    || { echo "… uv không cài được, dùng pip, khoảng hai phút / uv could not; with pip, about two minutes"; \
      $(PIP) install $(FROM) --require-hashes --only-binary :all: --no-compile --requirement $(1); }; } \
  && $(PIP) install --no-index --no-deps --no-build-isolation --editable . \
  && echo "… Xong / Done"
endef

## fuzz: ten minutes of good and bad requests made from the API's description, as every role; prints its seed
fuzz: venv-dev
	@MOTCUA_FUZZ_S=$${MOTCUA_FUZZ_S:-600} exec $(BIN)/python -m pytest -s tests/faults/test_fuzz.py

## fuzz-pdf: ten minutes of broken and altered PDFs through lint, repair and verify; prints its seed
fuzz-pdf: venv-dev
	@MOTCUA_PDF_FUZZ_S=$${MOTCUA_PDF_FUZZ_S:-600} exec $(BIN)/python -m pytest -s tests/faults/test_pdf_fuzz.py

## peers: fetch other makers' signers into var/peers; `python -m signing bench` then measures them beside ours
peers: venv-dev
	@exec $(BIN)/python -m loadtests.peers.signers

## lint: what `test` runs before pytest
lint: venv-dev
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/basedpyright && $(BIN)/lint-imports && $(BIN)/deptry .

## format: put every file into the house's form
format: venv-dev
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

## lock: resolve the versions anew; no download address stays in the files
lock: venv-dev
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 --extra build \
	  pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 --extra dev --extra build \
	  pyproject.toml -c requirements.lock -o requirements-dev.lock
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 \
	  deploy/cluster/patroni.in -o deploy/cluster/patroni.lock

## sbom: write the bill of materials (CycloneDX) of the locked packages to sbom.cdx.json
sbom: venv
	@$(BIN)/python deploy/sbom.py >sbom.cdx.json && echo "… sbom.cdx.json"

## bundle: put the source and every locked wheel into bundle/, from which `make run` needs no network
bundle: venv
	@of="$$(sha256sum <requirements.lock | cut -c1-64)"; \
	if [ "$$(cat bundle/wheels/.of 2>/dev/null)" != "$$of" ]; then \
	  echo "… Tải các gói đã khóa / Fetching the locked wheels"; \
	  rm -rf bundle bundle.new && mkdir -p bundle.new \
	  && $(PIP) download $(FROM) --require-hashes --only-binary :all: --requirement requirements.lock --dest bundle.new/wheels \
	  && printf '%s' "$$of" >bundle.new/wheels/.of && mv bundle.new bundle; \
	fi
	@find bundle -mindepth 1 -maxdepth 1 ! -name wheels -exec rm -rf {} +
	@tar -c --exclude=./.git --exclude=./.venv --exclude=./var --exclude=./bundle --exclude=./bundle.new --exclude=./wheels \
	  --exclude='*.egg-info' --exclude=__pycache__ --exclude='./.*_cache' . | tar -x -C bundle
	@echo "… Xong: chép thư mục bundle/ sang máy khác rồi chạy make run / Done: copy bundle/ to another machine, then make run"

## clean: remove what was built; the data in var/ stay
clean:
	@rm -rf $(VENV) bundle bundle.new build *.egg-info .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

## help: these lines
help:
	@sed -n 's/^## /  make /p' $(MAKEFILE_LIST)
