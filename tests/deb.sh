# usage: deb.sh DIRECTORY
# The packages in DIRECTORY on this machine: installed, they do what the documents say; purged, nothing of them is left.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/installed.sh"
folder=$(realpath "$1")
names="libsinter1 libsinter-gc1 libsinter-dev sinter-tools"
[ "$(id -u)" = 0 ] || skip "only root can install packages"
for tool in apt-get dpkg-query dpkg-shlibdeps pkg-config cmake python3 redis-server "${compiler%% *}"; do
  command -v "$tool" >/dev/null || skip "$tool is not installed"
done
for name in $names; do
  [ -z "$(dpkg-query -W -f '${Status}' "$name" 2>/dev/null)" ] || skip "$name is installed already, and is left as it is"
done
work=$(mktemp -d) || fail "no temporary directory"
trap 'clean' EXIT
cd "$work" || fail "no temporary directory"
unset PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR LD_LIBRARY_PATH

apt() {
  DEBIAN_FRONTEND=noninteractive within 600 apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" </dev/null >apt.log 2>&1 && return
  cat apt.log
  return 1
}
install() {
  local name files=()
  for name; do files+=("$folder/${name}_"*.deb); done
  apt --no-install-recommends install "${files[@]}"
}
# shellcheck disable=SC2086 # a list of words
purge() { apt purge $names; }

# Also where this ends early.
clean() {
  # shellcheck disable=SC2086
  [ -z "$(dpkg-query -W $names 2>/dev/null)" ] || purge
  rm -rf "$work"
}

# What there is by the library's name where packages put things.
traces() { find /usr /etc /var/lib /var/cache -xdev -name '*sinter*' 2>/dev/null | sort; }

# By `sinter run`, and by the name that is there without libsinter-dev.
maps_library() { within 60 "$@" cat /proc/self/maps | grep " $library\." >/dev/null; }
python() {
  local program='print(len({i: str(i) for i in range(100000)}))'
  [ "$(within 60 env SINTER_CONF=stats:on sinter run -- python3 -c "$program" 2>log)" = 100000 ] &&
    grep -q "^sinter $version, process" log
}
commands() { [ "$(sinter --version)" = "sinter $version" ] && sinter-gc-heap --help >/dev/null; }

# A package of a program that is linked with both would depend on both.
dependencies() {
  mkdir -p debian && printf 'Source: user\n\nPackage: user\nArchitecture: any\n' >debian/control
  dpkg-shlibdeps -O ./a.out ./example 2>log | grep "libsinter1 (>= $version)" | grep "libsinter-gc1 (>= $version)"
}

demo() {
  within 300 python3 -B "$srcdir/../bench/demo/redis.py" --library "$library" --build-dir "$work" --rounds 0 \
    --keys 50000 --idle 3 --after 1 >log 2>&1 && grep "Sinter *$(realpath "$library")" log && return
  cat log
  return 1
}

# Files of theirs, and directories that nobody else has.
purged() {
  local path
  # shellcheck disable=SC2086
  dpkg-query -L $names | sort -u | while read -r path; do
    [ -d "$path" ] && [[ $path != *sinter* ]] || echo "$path"
  done >theirs
  grep -q "^$library$" theirs && purge || return 1
  while read -r path; do
    [ ! -e "$path" ] && [ ! -L "$path" ] || echo "left: $path"
  done <theirs >left
  traces | diff before - >>left
  ldconfig -p | grep sinter >>left
  [ ! -s left ] || { cat left; return 1; }
}

traces >before
step "install what running takes" install libsinter1 libsinter-gc1 sinter-tools
[ "$failures" = 0 ] || finish
library=$(dpkg-query -L libsinter1 | grep '/libsinter.so.1$')
step "sinter run" maps_library sinter run --
step "LD_PRELOAD" maps_library env LD_PRELOAD=libsinter.so.1
step "python3" python
step "the commands" commands
step "install what compiling takes" install libsinter-dev
step "the program of docs/embedding.md" embedding
step "a program that is linked with libsinter.so" linked
step "dependencies of packages that use them" dependencies
step "a CMake project" cmake_project
step "the demo" demo
step "purge" purged
finish
