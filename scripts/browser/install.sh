#!/bin/sh
# Installs what the browser tests need: Chromium, Node 20 or newer, and npm. Without root privileges or apt-get, it only
# prints what to install.
set -eu

missing=
if [ -z "${CHROMIUM:-}" ]; then
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
        || missing="$missing chromium"
fi
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "browser tests: installing$missing"
    apt-get update -qq
    # shellcheck disable=SC2086 # one word per package
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null
else
    echo "The browser tests need$missing. On Debian or Ubuntu: sudo apt-get install -y$missing" >&2
    exit 1
fi
