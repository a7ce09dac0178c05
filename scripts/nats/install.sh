#!/bin/sh
# Gets nats-server for the tests of the bus between hubs. It needs no root privileges: if nats-server is not
# installed, it is downloaded from Debian and unpacked into .nats/. If it cannot be downloaded, its tests fail.
set -eu

# The package of Debian 12. Other releases have other versions, which apt checks against the signed index of the release.
version=2.9.10-1+b3
checksum_amd64=9f69ebb6f612e652382fde175622160dcd81fd97f2356f5da80bb5c3f48513dd

root=$(cd "$(dirname "$0")/../.." && pwd)/.nats
fail() {
    echo "nats-server is not installed and cannot be downloaded here: install it; its tests fail without it" >&2
    exit 1
}
[ ! -x /usr/sbin/nats-server ] && [ ! -x "$root/usr/sbin/nats-server" ] || exit 0
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail

packages=$(mktemp -d)
trap 'rm -rf "$packages" "$root.new"' EXIT
[ "$(id -u)" != 0 ] || apt-get update -qq || true

# It is one program without libraries of its own, so nothing else is needed.
cd "$packages"
apt-get download -qq "nats-server=$version" >/dev/null 2>&1 || apt-get download -qq nats-server >/dev/null 2>&1 || fail
for package in nats-server_*.deb; do
    case $package in
        nats-server_"$version"_amd64.deb) echo "$checksum_amd64  $package" | sha256sum --check --quiet ;;
    esac
    dpkg-deb -x "$package" "$root.new"
done
rm -rf "$root"
mv "$root.new" "$root"
