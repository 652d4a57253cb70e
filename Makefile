# `make install`, `make demo`, `make test`; each makes .venv when it is not there yet.
# OPS=compiled builds mmcv with its operators; OPS=lite takes mmcv-lite even where pip finds a ready
# wheel of mmcv. Without OPS such a wheel is taken, and else mmcv-lite: nothing is built.
VENV ?= .venv
PYTHON ?= python3
OPS ?=
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed$(addprefix -,$(OPS))
WORKERS ?= 2
# What codespell reads.
CHECKED := $(wildcard *.md *.yml *.toml *.cff) .github benchmarks configs docs mmkd_sod requirements tests tools

# PIP_FIND_LINKS adds to the find-links of your pip configuration instead of replacing them.
PIP_INSTALL := env -u PIP_FIND_LINKS PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip install -q \
	-c requirements/constraints.txt $(foreach place,$(PIP_FIND_LINKS),--find-links $(place))
PIP_UNINSTALL := $(PY) -m pip uninstall -q -y
# mmkd_sod's operators, which an installed mmkd_sod offers in place of mmcv's, do not count.
COMPILED := TORCH_DEVICE_BACKEND_AUTOLOAD=0 $(PY) -W ignore -c "import mmcv._ext" 2>/dev/null

.PHONY: install demo test test-slow lint format docs clean-demo

install: $(STAMP)

$(STAMP): setup.py Makefile $(wildcard requirements/*.txt)
	@case "$(OPS)" in ''|lite|compiled) ;; \
		*) echo "[install] OPS=$(OPS); it is lite or compiled, or is left out"; exit 1;; esac
	@test -x $(PY) || $(PYTHON) -c \
		"import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))" || { \
		echo "[install] $(PYTHON) is no Python 3.10, 3.11, 3.12 or 3.13; give one:" \
		"make install PYTHON=python3.12"; exit 1; }
	@test -x $(PY) || { echo "[install] making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "[install] torch and the build tools"
	@$(PIP_INSTALL) -r requirements/build.txt
# mmcv and mmcv-lite own the same folder: the one goes before the other comes.
	@if [ "$(OPS)" != lite ] && $(COMPILED); then \
		echo "[install] mmcv's compiled operators are there and load"; \
	elif [ "$(OPS)" = compiled ]; then \
		echo "[install] building mmcv with its operators: about 11 minutes on 2 cores, once;"; \
		echo "[install] pip keeps the wheel it built"; \
		$(PIP_UNINSTALL) mmcv mmcv-lite 2>/dev/null; \
		MMCV_WITH_OPS=1 $(PIP_INSTALL) --no-build-isolation -r requirements/compiled.txt && \
		$(COMPILED) || { $(PIP_UNINSTALL) mmcv; echo "[install] mmcv's operators were not built or do" \
			"not load; without OPS=compiled mmcv-lite is installed"; exit 1; }; \
	else \
		$(PIP_UNINSTALL) mmcv mmcv-lite 2>/dev/null; \
		{ [ "$(OPS)" != lite ] && $(PIP_INSTALL) --only-binary mmcv -r requirements/compiled.txt \
			2>/dev/null && $(COMPILED) && echo "[install] took a ready wheel of mmcv"; } || { \
		$(PIP_UNINSTALL) mmcv 2>/dev/null; \
		echo "[install] mmcv-lite, with mmkd_sod's operators in plain torch"; \
		$(PIP_INSTALL) -r requirements/lite.txt; }; \
	fi
	@echo "[install] OpenMMLab and mmkd_sod"
	@$(PIP_INSTALL) -r requirements/mminstall.txt -r requirements/runtime.txt -r requirements/tests.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.installed*; touch $(VENV)/.installed $(STAMP)

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
