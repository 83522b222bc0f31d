# A CMake project finds what is installed, wherever that has been moved to, and gets the version it asks for or a reason.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/installed.sh"
for tool in make cmake "${compiler%% *}"; do
  command -v "$tool" >/dev/null || skip "$tool is not installed"
done
export CC=${compiler%% *}
work=$(mktemp -d) || fail "no temporary directory"
trap 'rm -rf "$work"' EXIT
cd "$work" || fail "no temporary directory"

# Found through a link, as where /lib is one: the way up from the link leads elsewhere.
through_link() {
  mkdir -p elsewhere/lib/cmake && ln -s "$folder" elsewhere/lib/cmake/sinter &&
    cmake_project -DCMAKE_PREFIX_PATH="$work/elsewhere"
}

# ask WHAT: find_package(sinter WHAT) in a project that has nothing else.
ask() {
  rm -rf asking && mkdir asking || return 1
  printf 'cmake_minimum_required(VERSION 3.19)\nproject(asking NONE)\nfind_package(sinter %s REQUIRED)\n' "$1" \
    >asking/CMakeLists.txt
  within 60 cmake -S asking -B asking/build -Dsinter_DIR="$folder" >asked 2>&1
}
answered() { ask "$1" || { cat asked; return 1; }; }
# What CMake says is broken into lines.
refused() {
  if ask "$1" || ! tr -s " \n" " " <asked | grep -q "$2"; then
    cat asked
    return 1
  fi
}

step "make install" install_below "$work/root"
mv root moved
folder=$(dirname "$(find "$work/moved" -name sinter-config.cmake)")
major=${version%%.*} minor=${version#*.} patch=${version##*.}
minor=${minor%%.*}
step "a project" cmake_project -DCMAKE_PREFIX_PATH="$(realpath "$folder/../../..")"
step "a project that finds it through a link" through_link
for wanted in "" "$version EXACT" "$major" "$major.$minor" "$major.$minor.0...<$((major + 1))"; do
  step "version ${wanted:-any}" answered "$wanted"
done
for wanted in "$major.$minor.$((patch + 1))" "$major.$((minor + 1))" "$((major + 1))" "$major.$((minor + 1))...<$((major + 1))"; do
  step "no version $wanted" refused "$wanted" "version: $version"
done
step "no such component" refused "$version COMPONENTS nothing" "there is no component nothing"
rm "$folder"/../../libsinter-gc.so
step "a library that is not there" refused "$version" "libsinter-gc.so is not in"
finish
