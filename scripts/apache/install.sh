#!/bin/sh
# Gets Apache httpd for the test of sign-in by the college's web server. It needs no root privileges: if httpd is not
# installed, Debian's packages are downloaded and unpacked into .apache/. Without them, the test is skipped and says so.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)/.apache
command -v apache2 >/dev/null && exit 0
[ -x "$root/usr/sbin/apache2" ] && exit 0
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "Apache httpd is not installed and cannot be downloaded here: its test will be skipped" >&2
    exit 0
fi

packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
cd "$packages"
[ "$(id -u)" != 0 ] || apt-get update -qq || true
# Debian 13 and Ubuntu 24.04 have renamed the two libraries.
for names in "libapr1t64 libapr1" "libaprutil1t64 libaprutil1" "apache2-bin"; do
    found=
    for name in $names; do
        if apt-get download -qq "$name" >/dev/null 2>&1; then
            found=yes
            break
        fi
    done
    if [ -z "$found" ]; then
        echo "Apache httpd cannot be downloaded ($names): its test will be skipped" >&2
        exit 0
    fi
done
rm -rf "$root.new"
for package in *.deb; do
    dpkg-deb -x "$package" "$root.new"
done
rm -rf "$root"
mv "$root.new" "$root"
