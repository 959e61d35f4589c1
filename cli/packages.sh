#!/bin/sh
# SPDX-License-Identifier: MIT
# packages.sh [tests] - installs what is missing: to build, and with `tests` to test.
# On anything but Debian and its kin it says what is wanted and goes on.
set -eu

build="gcc libc6-dev pkg-config meson ninja-build libopenblas-dev portaudio19-dev libsamplerate0-dev
libsndfile1-dev liblo-dev libzip-dev libcjson-dev libinih-dev libpopt-dev libncurses-dev libcairo2-dev
libfftw3-dev"
tests="clang libclang-rt-14-dev libcmocka-dev jackd2 libjack-jackd2-dev liblo-tools puredata-core tmux
librsvg2-bin libopenmpi-dev openmpi-bin"

wanted=$build
[ "${1:-}" = tests ] && wanted="$build $tests"

if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
    if ! command -v meson >/dev/null 2>&1 || ! command -v pkg-config >/dev/null 2>&1; then
        echo "This is no Debian. Install these or their like by hand, then run again:" >&2
        echo "$wanted" >&2
        exit 1
    fi
    exit 0
fi

missing=
for package in $wanted; do
    status=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) || status=
    case $status in
    ii*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -z "$missing" ] && exit 0

run=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "Missing packages; as root: apt-get install$missing" >&2
        exit 1
    fi
    run=sudo
fi
echo "installing:$missing" >&2
log=$(mktemp)
if ! { $run apt-get update && $run env DEBIAN_FRONTEND=noninteractive \
       apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    echo "apt-get could not install:$missing" >&2
    exit 1
fi
rm -f "$log"
