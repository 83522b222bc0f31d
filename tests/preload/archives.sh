# tar and xz: an archive of this project's sources and of larger files, packed with two threads and unpacked.
. "$(dirname "$0")/lib.sh"
need tar xz
takes_library xz --version
takes_library tar --version

mkdir "$tmp/input"
cp -R "$srcdir" "$tmp/input/tests"
chmod -R u+w "$tmp/input" # make distcheck has a source that is read-only
seq 1 400000 >"$tmp/input/numbers"
for i in $(seq 1 2000); do echo "file $i" >"$tmp/input/file$i"; done

cat >"$tmp/work" <<'SH'
set -e
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$1" -cf input.tar input
sha256sum input.tar
xz -k -9 -T2 --block-size=1MiB input.tar
xz -k -1 -T1 -c input.tar | sha256sum
sha256sum input.tar.xz
xz -t input.tar.xz
mkdir out
tar -C out -xJf input.tar.xz
diff -r "$1/input" out/input
SH
step "tar and xz" both archives 120 sh "$tmp/work" "$tmp"
finish
