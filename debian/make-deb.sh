#!/bin/bash
#
# What `make deb` runs: builds the packages from the source archive, as Debian would, and has lintian look at them.
#
# usage: make-deb.sh ARCHIVE DIRECTORY
#   the packages, and the log, are in DIRECTORY then; what was there of an earlier run is gone.

set -euo pipefail

archive=$(realpath "$1")
folder=$2
name=$(basename "$archive" .tar.xz) # sinter-VERSION
work=$folder/work
log=$folder/build.log

die() {
    printf 'make deb: %s\n' "$*" >&2
    exit 1
}

# The packages that are missing, by the names that apt-get takes.
missing() {
    local pair
    for pair in dpkg-buildpackage:dpkg-dev dh:debhelper lintian:lintian; do
        command -v "${pair%:*}" >/dev/null || echo "${pair#*:}"
    done
    if command -v dpkg-checkbuilddeps >/dev/null; then
        dpkg-checkbuilddeps -Pnocheck "$(dirname "$0")/control" 2>&1 |
            sed -n 's/.*Unmet build dependencies: //p' |
            sed 's/ ([^)]*)//g; s/:native//g; s/debhelper-compat/debhelper/; s/ | [^ ]*//g' | tr ' ' '\n'
    fi
}

# The tests have run where the archive was made.
build() {
    cd "$work/$name"
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u DESTDIR \
        DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" dpkg-buildpackage -Pnocheck -us -uc -b
}

mapfile -t packages < <(missing | sort -u)
((${#packages[@]} == 0)) || die "missing: apt-get install --no-install-recommends ${packages[*]}"

rm -rf "$folder"
mkdir -p "$work"
tar -xf "$archive" -C "$work"
if ! (build) >"$log" 2>&1 </dev/null; then
    tail -n 30 "$log" >&2
    die "dpkg-buildpackage failed; all it said is in $log"
fi
mv "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo "$folder"
rm -rf "$work"
lintian --fail-on error --suppress-tags initial-upload-closes-no-bugs "$folder"/*.changes || die "lintian found errors"
printf '%s\n' "$folder"/*.deb
