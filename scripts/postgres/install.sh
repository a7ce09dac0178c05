#!/bin/sh
# Provides PostgreSQL 15 or later, and PgBouncer, for the tests of the shared store. It needs no root privileges:
# programs that are not installed are downloaded from Debian with their dependencies and unpacked into .postgres/. If a
# download fails, the tests that need the program fail.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)/.postgres
fail() {
    echo "$1 is not installed and cannot be downloaded here: install it; its tests fail without it" >&2
    exit 1
}
has_server() {
    for server in /usr/lib/postgresql/*/bin/postgres "$root"/usr/lib/postgresql/*/bin/postgres; do
        version=${server%/bin/postgres}
        version=${version##*/}
        case $version in *[!0-9]*) continue ;; esac
        [ ! -x "$server" ] || [ "$version" -lt 15 ] || return 0
    done
    return 1
}
has_bouncer() {
    [ -x /usr/sbin/pgbouncer ] || [ -x "$root/usr/sbin/pgbouncer" ]
}
! has_server || ! has_bouncer || exit 0
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail PostgreSQL

packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
[ "$(id -u)" != 0 ] || apt-get update -qq || true
mkdir -p "$packages/archives/partial" "$root"

# Downloads a package and its dependencies that this machine lacks, without installing them. apt's cache and lock are in
# the temporary folder, which needs no root privileges.
unpack() {
    apt-get install -qq --download-only --no-install-recommends -o Debug::NoLocking=1 -o Dir::Cache="$packages" \
        -o Dir::Cache::archives="$packages/archives" "$1" >/dev/null 2>&1 || return 1
    for package in "$packages"/archives/*.deb; do
        dpkg-deb -x "$package" "$root"
    done
}
if ! has_server; then
    newest=$(apt-cache pkgnames postgresql-1 | grep -x 'postgresql-[0-9]*' | sort -t- -k2 -n | tail -n 1)
    [ "${newest#postgresql-}" -ge 15 ] 2>/dev/null && unpack "$newest" || fail PostgreSQL
fi
has_bouncer || unpack pgbouncer || fail PgBouncer
