# `make install`, `make demo`, `make test`; each makes .venv when it is not there yet.
VENV ?= .venv
PYTHON ?= python3
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
WORKERS ?= 2
# What codespell reads.
CHECKED := $(wildcard *.md *.yml *.toml *.cff) .github benchmarks configs docs mmkd_sod requirements tests tools

# PIP_FIND_LINKS adds to the find-links of your pip configuration instead of replacing them.
PIP_INSTALL := env -u PIP_FIND_LINKS PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip install -q \
	-c requirements/constraints.txt $(foreach place,$(PIP_FIND_LINKS),--find-links $(place))

.PHONY: install demo test test-slow lint format docs clean-demo

install: $(STAMP)

$(STAMP): setup.py Makefile $(wildcard requirements/*.txt)
	@test -x $(PY) || $(PYTHON) -c \
		"import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))" || { echo "[install]" \
		"$(PYTHON) is no Python 3.10, 3.11 or 3.12, and mmcv 2.1.0 does not build on others;" \
		"give one: make install PYTHON=python3.12"; exit 1; }
	@test -x $(PY) || { echo "[install] making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "[install] torch and the build tools"
	@$(PIP_INSTALL) -r requirements/build.txt
	@$(PY) -c "import mmcv.ops" 2>/dev/null || $(PIP_INSTALL) --only-binary mmcv mmcv 2>/dev/null || { \
		echo "[install] no ready wheel of mmcv for this Python and torch: building it with its ops."; \
		echo "[install] This takes about 11 minutes on 2 cores, once: pip keeps the wheel it built."; \
		MMCV_WITH_OPS=1 $(PIP_INSTALL) --no-build-isolation mmcv; }
	@$(PY) -c "import mmcv.ops" || { echo "[install] mmcv's ops do not load; if PIP_FIND_LINKS offers a" \
		"wheel of mmcv, it was built for another torch: run 'make install' without it."; \
		$(PY) -m pip uninstall -q -y mmcv; exit 1; }
	@echo "[install] OpenMMLab and mmkd_sod"
	@$(PIP_INSTALL) -r requirements/mminstall.txt -r requirements/runtime.txt -r requirements/tests.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: $(STAMP)
	@$(PY) -W ignore tools/demo.py

test: $(STAMP)
	@$(PY) -m pytest -n $(WORKERS)

test-slow: $(STAMP)
	@$(PY) -m pytest -m slow

lint: $(STAMP)
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m codespell_lib $(CHECKED)
	@$(PY) tests/vocabulary.py
	@$(PY) -m mypy

format: $(STAMP)
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

docs: $(STAMP)
	@$(PY) -c "import material, mkdocstrings_handlers.python" 2>/dev/null || \
		$(PIP_INSTALL) -r requirements/docs.txt
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

clean-demo:
	rm -rf data/scenes work_dirs/demo
