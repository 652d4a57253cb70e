# `make install`, `make demo`, `make test`; each creates .venv if it does not exist.
# OPS=compiled builds mmcv with its operators; OPS=lite installs mmcv-lite even if pip finds a prebuilt
# wheel of mmcv. Without OPS, a prebuilt wheel is used if there is one, otherwise mmcv-lite.
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
# Without the operators in plain torch that an installed mmkd_sod offers in place of mmcv's.
COMPILED := TORCH_DEVICE_BACKEND_AUTOLOAD=0 $(PY) -W ignore -c "import mmcv._ext" 2>/dev/null

.PHONY: install demo test test-slow lint format docs clean-demo

install: $(STAMP)

$(STAMP): setup.py Makefile $(wildcard requirements/*.txt)
	@case "$(OPS)" in ''|lite|compiled) ;; \
		*) echo "[install] OPS=$(OPS) is unknown; use lite or compiled, or omit it"; exit 1;; esac
	@test -x $(PY) || $(PYTHON) -c \
		"import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))" || { \
		echo "[install] $(PYTHON) is not Python 3.10, 3.11, 3.12 or 3.13; choose one:" \
		"make install PYTHON=python3.12"; exit 1; }
	@test -x $(PY) || { echo "[install] creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "[install] torch and the build tools"
	@$(PIP_INSTALL) -r requirements/build.txt
# mmcv and mmcv-lite install into the same folder: uninstall one before installing the other.
	@if [ "$(OPS)" != lite ] && $(COMPILED); then \
		echo "[install] mmcv's compiled operators are installed and load"; \
	elif [ "$(OPS)" = compiled ]; then \
		echo "[install] building mmcv with its operators: about 11 minutes on 2 cores, once;"; \
		echo "[install] pip caches the wheel"; \
		$(PIP_UNINSTALL) mmcv mmcv-lite 2>/dev/null; \
		MMCV_WITH_OPS=1 $(PIP_INSTALL) --no-build-isolation -r requirements/compiled.txt && \
		$(COMPILED) || { $(PIP_UNINSTALL) mmcv; echo "[install] mmcv's operators were not built or do" \
			"not load; without OPS=compiled mmcv-lite is installed"; exit 1; }; \
	else \
		$(PIP_UNINSTALL) mmcv mmcv-lite 2>/dev/null; \
		{ [ "$(OPS)" != lite ] && $(PIP_INSTALL) --only-binary mmcv -r requirements/compiled.txt \
			2>/dev/null && $(COMPILED) && echo "[install] installed a prebuilt wheel of mmcv"; } || { \
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
	@$(PY) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { \
		echo "[docs] $(VENV) has Python 3.10, the tools of the pages need 3.11 or later; make another:" \
		"make docs VENV=.venv-docs PYTHON=python3.12"; exit 1; }
	@$(PY) -c "import material, mkdocstrings_handlers.python" 2>/dev/null || \
		$(PIP_INSTALL) -r requirements/docs.txt
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

clean-demo:
	rm -rf data/scenes work_dirs/demo
