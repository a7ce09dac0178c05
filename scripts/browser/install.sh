#!/bin/sh
# Installs what the browser tests need: Chromium, Node 20 or newer, and npm. Without root privileges or apt-get, it only
# prints what to install.
set -eu

has() {
    command -v "$1" >/dev/null
}

missing=
[ -n "${CHROMIUM:-}" ] || has chromium-headless-shell || has chromium || has chromium-browser || has google-chrome \
    || missing=" chromium"
has node || missing="$missing nodejs"
has npm || missing="$missing npm"
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ] && has apt-get; then
    apt-get update -qq
    # Debian has a package with only the parts of Chromium that the tests use.
    if apt-cache show chromium-headless-shell >/dev/null 2>&1; then
        missing=$(echo "$missing" | sed 's/ chromium\b/ chromium-headless-shell/')
    fi
    echo "browser tests: installing$missing"
    # shellcheck disable=SC2086 # one word per package
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null
else
    echo "The browser tests need$missing. On Debian or Ubuntu: sudo apt-get install -y$missing" >&2
    exit 1
fi
