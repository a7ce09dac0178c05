#!/bin/sh
# Installs Plone with the pinned versions of constraints.txt into .plone/venv, and creates the site once in
# .plone/template, from which instances are copied. A part that is complete and was made from the current scripts is not
# made again. Each part gets its stamp last, so the next run repeats a part that was interrupted.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
home=$(cd "$here/../.." && pwd)/.plone

say() { echo "plone: $*"; }
fail() { echo "plone: $*" >&2; exit 1; }

# Prints the name of a Python interpreter that Plone 6.2 runs on and that can create virtual environments.
find_python() {
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3.10; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            "$candidate" -c 'import venv, ensurepip' 2>/dev/null && { echo "$candidate"; return; }
            incomplete=$candidate
        fi
    done
    if [ -n "${incomplete:-}" ]; then
        fail "$incomplete lacks venv. On Debian or Ubuntu: apt install python3-venv"
    fi
    fail "Python 3.10 or newer is needed, with venv. On Debian or Ubuntu: apt install python3 python3-venv"
}

# A stamp contains the checksum of the files from which a part was made.
checksum() { cat "$@" | cksum; }
stamped() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

mkdir -p "$home"

sources=$(checksum "$here/constraints.txt")
if ! stamped "$home/venv/installed" "$sources"; then
    python=$(find_python)
    say "installing Plone with $("$python" --version) (one to three minutes)"
    # A half-installed package cannot be detected, so start over. pip has cached its downloads.
    rm -rf "$home/venv" "$home/template"
    "$python" -m venv "$home/venv"
    # LoginLockout locks accounts after wrong passwords. Only the tests that need it activate it in their site.
    "$home/venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
        -c "$here/constraints.txt" Plone Products.LoginLockout \
        || fail "pip could not install Plone; run this again to continue"
    echo "$sources" > "$home/venv/installed"
fi

sources=$(checksum "$here/constraints.txt" "$here/site.py" "$here/zope.conf.in")
if ! stamped "$home/template/made" "$sources"; then
    say "creating the site (half a minute)"
    rm -rf "$home/template" "$home/making"
    mkdir -p "$home/making/etc" "$home/making/var/log" "$home/cache"
    sed -e "s|@INSTANCE@|$home/making|" -e "s|@CACHE@|$home/cache|" "$here/zope.conf.in" > "$home/making/etc/zope.conf"
    cp "$here/site.zcml" "$home/making/etc/site.zcml"
    if ! "$home/venv/bin/python" -m Zope2.utilities.zconsole run "$home/making/etc/zope.conf" "$here/site.py" \
        > "$home/making/log" 2>&1; then
        tail -n 30 "$home/making/log" >&2
        fail "the site could not be created; the complete log is $home/making/log"
    fi
    mkdir "$home/template"
    mv "$home/making/var/Data.fs" "$home/making/var/blobstorage" "$home/template/"
    rm -rf "$home/making"
    echo "$sources" > "$home/template/made"
fi
