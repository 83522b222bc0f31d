# Whatever states the version states the same one: what is built, the header, the changelogs, the README.
. "$(dirname "$0")/lib.sh"
top=$(realpath "$srcdir/..")
version=$(sed -n 's/^PACKAGE_VERSION = //p' "$builddir/../Makefile")
header=$top/include/sinter/malloc.h

macro() { sed -n "s/^#define SINTER_VERSION_$1 *\"\\{0,1\\}\\([0-9.]*\\)\"\\{0,1\\}$/\\1/p" "$header"; }

# states WHERE VERSION: what was read there.
states() {
  [ "$2" = "$version" ] && return
  echo "$1 says '$2', configure.ac '$version'"
  return 1
}

step "the library" states sinter_version "$(with_sinter env SINTER_CONF=stats:on true 2>&1 | sed -n 's/^sinter \([^,]*\),.*/\1/p' | uniq)"
step "the header, as text" states malloc.h "$(macro STRING)"
step "the header, as numbers" states malloc.h "$(macro MAJOR).$(macro MINOR).$(macro PATCH)"
step "the changelog" states CHANGELOG.md "$(sed -n 's/^## \([0-9.]*\).*/\1/p' "$top/CHANGELOG.md" | head -n 1)"
step "Debian's" states debian/changelog "$(sed -n '1s/^sinter (\([^-]*\)-[0-9]*) .*/\1/p' "$top/debian/changelog")"
step "the README" states README.md "$(sed -n 's/^Version \([0-9.]*[0-9]\).*/\1/p' "$top/README.md")"
for name in sinter sinter-gc; do
  step "$name.pc" states "$name.pc" "$(sed -n 's/^Version: //p' "$builddir"/../*/"$name.pc")"
done
finish
