# git on a clone of this project's repository.
. "$(dirname "$0")/lib.sh"
need git
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' GIT_CONFIG_GLOBAL=/dev/null
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_AUTHOR_DATE='2000-01-01T00:00:00Z'
export GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.org GIT_COMMITTER_DATE='2000-01-01T00:00:00Z'
repository=$(git -C "$srcdir" rev-parse --show-toplevel 2>/dev/null) && [ -e "$repository/tests/model.c" ] ||
  skip "the source is not a git checkout"
takes_library git -C "$repository" log --oneline

cat >"$tmp/work" <<'SH'
set -e
git clone -q --no-local "$1" clone
cd clone
git log -p --stat | sha256sum
git log --graph --format='%H %an %s' | sha256sum
git blame -w tests/model.c | sha256sum
git grep -c malloc | sha256sum
for i in 1 2 3; do
  git checkout -q -b branch$i
  for n in 1 2 3 4 5 6 7 8; do seq $i$n 500 9999 >file$n; done
  git add -A
  git commit -q -m "commit $i"
  sed -i "s/1/one$i/" file*
  git commit -q -a -m "another $i"
done
git checkout -q -b merged branch1
git merge -q -s ours -m merge branch3
git rev-parse HEAD
git diff branch1 branch3 | sha256sum
git repack -q -a -d -f --depth=50 --window=50 --threads=2
git gc -q --prune=now
git fsck --full --strict 2>&1
git rev-list --objects --all | sort | sha256sum
git fast-export --all | sha256sum
git archive --format=tar HEAD | sha256sum
SH
step git both git 120 sh "$tmp/work" "$repository"
finish
