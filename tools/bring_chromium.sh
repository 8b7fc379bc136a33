#!/bin/sh
# Bring Chromium, in which the HTML page is tested, or say that the tests are skipped. Called by the Makefile; never fails.
set -u

bring() {
    export DEBIAN_FRONTEND=noninteractive
    packages="chromium chromium-driver"
    { apt-get install -y $packages || { apt-get update && apt-get install -y $packages; }; } >/dev/null 2>&1
}

if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then
    exit 0
elif test "$(id -u)" = 0 && command -v apt-get >/dev/null; then
    echo "Installing Debian's chromium and chromium-driver by apt-get: the HTML page is tested in it ..." >&2
    bring || echo "apt-get could not install chromium: tests of the page in a browser are skipped (with CI set, they fail)." >&2
else
    echo "chromium is not installed: tests of the page in a browser are skipped (with CI set, they fail)." >&2
fi
exit 0
