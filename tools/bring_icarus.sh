#!/bin/sh
# Bring Icarus Verilog, which the tests of rtl/ run on, or say that they are skipped. Called by the Makefile; never fails.
set -u

say() {
    echo "$*" >&2
}

bring() {
    export DEBIAN_FRONTEND=noninteractive
    { apt-get install -y iverilog || { apt-get update && apt-get install -y iverilog; }; } >/dev/null 2>&1
}

if command -v iverilog >/dev/null; then
    exit 0
elif test "$(id -u)" = 0 && command -v apt-get >/dev/null; then
    say "Installing Debian's iverilog by apt-get: the tests of rtl/ run on it ..."
    bring || say "apt-get could not install iverilog: tests that simulate RTL are skipped (with CI set, they fail)."
else
    say "iverilog is not installed: tests that simulate RTL are skipped (with CI set, they fail). Debian: apt-get install iverilog"
fi
exit 0
