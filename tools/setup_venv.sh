#!/bin/sh
# Make the virtual environment, or bring it up to date. Called by the Makefile, from the repository's root.
#
#   tools/setup_venv.sh PYTHON VENV KEY run|develop
#
# KEY tells by which Python and in which folder an environment was made: a stamp with another KEY means that it was
# copied or that PYTHON changed, and the mark `.setting-up` that a run was interrupted. Both are made anew. An environment
# without any mark was made by hand: it is kept, and installed into.
set -eu
python=$1 venv=$2 key=$3 purpose=$4

say() {
    echo "$*" >&2 # standard output belongs to the command that follows
}

fail() {
    say "$@"
    exit 1
}

usable() {
    test ! -e "$venv/.setting-up" && "$venv/bin/python" -m pip --version >/dev/null 2>&1 || return 1
    set -- "$venv"/.ready-*
    test ! -e "$1" || test -e "$venv/.ready-to-run-$key"
}

logged() {
    "$@" >>"$venv/.log" 2>&1 || {
        cat "$venv/.log" >&2
        fail "Setting up $venv failed, see above. Mend the cause, then make again."
    }
}

install() {
    logged "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off --no-compile \
        --constraint constraints.txt "$@"
}

byte_compile() { # what pip would do on one core; templates in some packages are no Python and fail
    for packages in "$venv"/lib/python3*/site-packages; do
        "$venv/bin/python" -m compileall -q -j 0 "$packages" >/dev/null 2>&1 || :
    done
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "hwsim needs Python 3.11 or later, but $python is $("$python" --version 2>/dev/null || echo "not there")." \
        "Name another one: make PYTHON=python3.12 ..."

if usable; then
    say "Bringing $venv up to date: some seconds, longer if packages are missing ..."
else
    say "Setting up $venv: 130 MB of packages or more, a minute or two; only this once ..."
    rm -rf "$venv"
    mkdir -p "$venv"
    touch "$venv/.setting-up"
    logged "$python" -m venv "$venv"
fi

touch "$venv/.setting-up"
rm -f "$venv"/.ready-* "$venv/.log"
install hatchling # first, so that building hwsim itself needs no network
case $purpose in
run) install --no-build-isolation --editable . ;;
develop) install --no-build-isolation --editable '.[dev,rtl]' && touch "$venv/.ready-to-develop-$key" ;;
esac
byte_compile
touch "$venv/.ready-to-run-$key"
rm -f "$venv/.setting-up"
