# `sinter run`: flags become options of the library, the program gets everything else as it was given, and where the loader
# does not preload, a line says so.
. "$(dirname "$0")/lib.sh"
sinter=$builddir/../tools/sinter
[ -x "$sinter" ] || { echo "ERROR: $sinter is not built"; exit 99; }
work=$(mktemp -d) || fail "no temporary directory"
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

run() { within 60 "$sinter" run "$@"; }

# ends STATUS COMMAND...: it ends with this status, its output in "out" and "err".
ends() {
  local wanted=$1 status=0
  shift
  "$@" >"$work/out" 2>"$work/err" || status=$?
  [ "$status" = "$wanted" ] && return
  echo "status $status in place of $wanted: $*"
  cat "$work/out" "$work/err"
  return 1
}

# said PATTERN: exactly one line on stderr, which matches.
said() {
  [ "$(wc -l <"$work/err")" = 1 ] && grep -qE -- "$1" "$work/err" && return
  echo "not one line with '$1':"
  cat "$work/err"
  return 1
}
silent() { [ ! -s "$work/err" ] || { cat "$work/err"; return 1; }; }

# value KEY: what the library takes for the value of an option, from what help:on has printed.
value() { sed -n "s/^  $1:\([^ ]*\) .*/\1/p" "$work/err"; }

library_of_build_tree() {
  ends 0 run sh -c 'echo "$LD_PRELOAD"' && silent && [ "$(<"$work/out")" -ef "$builddir/../.libs/libsinter.so" ] &&
    # from wherever it is called, by whatever name
    ln -s "$(realpath "$sinter")" "$work/link" &&
    ends 0 env -C "$work" SINTER_CONF=stats:on ./link run true && grep -q '^sinter ' "$work/err"
}

flags() {
  ends 0 env SINTER_CONF=help:on "$sinter" run --decay=5s --cache=off --compact-start 33 --compact_stop=4 --guard=sample=7 \
    --cache-bin 1m --stats=json --guard-file="$work/a file" -- true || return 1
  [ "$(value decay)" = 5000 ] && [ "$(value cache)" = off ] && [ "$(value compact_start)" = 33 ] &&
    [ "$(value compact_stop)" = 4 ] && [ "$(value guard)" = sample=7 ] && [ "$(value cache_bin)" = 1048576 ] &&
    [ "$(value stats)" = json ] && grep -qF "  guard_file:$work/a file" "$work/err" && grep -q '^{"version"' "$work/err"
}

# Every option of the table can be given, and is one in the help.
all_flags() {
  local name default flag rows
  ends 0 env SINTER_CONF=help:on "$sinter" run true && cp "$work/err" "$work/options" &&
    ends 0 "$sinter" run --help && cp "$work/out" "$work/help" || return 1
  rows=$(sed -nE 's/^  ([a-z_]+):[^[]*\[([^]]*)\].*/\1 \2/p' "$work/options")
  while read -r name default; do
    flag=--${name//_/-}
    [ "$name" != help ] || continue
    ends 0 run "$flag=$default" true && silent && grep -qE "^ +${flag}(\[|=)" "$work/help" || { echo "$flag=$default"; return 1; }
  done <<<"$rows"
  [ "$(wc -l <<<"$rows")" -gt 30 ]
}

bare_flags() {
  ends 0 env SINTER_CONF=help:on "$sinter" run --stats --check --guard true &&
    [ "$(value stats)" = on ] && [ "$(value check)" = on ] && [ "$(value guard)" = sample=1000 ]
}

# What the environment has stays, the flags have the last word; the last of two flags as well.
environment() {
  ends 0 env SINTER_CONF=decay:1s,cache_idle:3s,help:on "$sinter" run --decay=2s --cache-thread=1m --cache-thread=2m true &&
    [ "$(value decay)" = 2000 ] && [ "$(value cache_idle)" = 3000 ] && [ "$(value cache_thread)" = 2097152 ] &&
    ends 0 env SINTER_CONF=decay:1s "$sinter" run sh -c 'echo "$SINTER_CONF"' && [ "$(<"$work/out")" = decay:1s ] &&
    ends 0 env -u SINTER_CONF "$sinter" run sh -c 'echo "${SINTER_CONF-unset}"' && [ "$(<"$work/out")" = unset ] &&
    ends 0 env LD_PRELOAD="$builddir/.libs/hook.so" "$sinter" run sh -c 'echo "$LD_PRELOAD"' &&
    [ "$(sed 's/:.*//' "$work/out")" -ef "$builddir/../.libs/libsinter.so" ] &&
    [ "$(sed 's/^[^:]*://' "$work/out")" = "$builddir/.libs/hook.so" ]
}

arguments() {
  ends 0 run --decay=1s printf '<%s>' 'two words' '' --decay=x -- '*' && silent &&
    [ "$(<"$work/out")" = '<two words><><--decay=x><--><*>' ] &&
    ends 0 run -- printf '<%s>' -- a && [ "$(<"$work/out")" = '<--><a>' ]
}

# The program takes this one's place: its number, its descriptors, its end.
status() {
  local pid
  ends 7 run sh -c 'exit 7' && silent && ends 0 run true && ends 126 run "$work" && said 'Permission denied' &&
    ends 127 run "$work/none" && said "sinter run: $work/none: No such file" && ends 127 run sinter-has-no-such-program &&
    ends 143 run sh -c 'kill -TERM $$' && ends 0 run cat <"$srcdir/lib.sh" && cmp "$work/out" "$srcdir/lib.sh" || return 1
  "$sinter" run sh -c 'echo $$' >"$work/out" &
  pid=$!
  wait "$pid" && [ "$(<"$work/out")" = "$pid" ]
}

refused() {
  local line
  for line in --decay=soon --cache=maybe --compact=none --guard=sample=0 --cache-bin=1 --guard-file=relative; do
    ends 64 run "$line" touch "$work/ran" && grep -q "bad value '${line#*=}'" "$work/err" || return 1
  done
  ends 64 run --guard-file=/a,b touch "$work/ran" && grep -q 'has a comma' "$work/err" &&
    ends 64 run --no-such-option touch "$work/ran" && ends 64 run --decay && ends 64 run && ends 64 run -- &&
    [ ! -e "$work/ran" ]
}

# The line about a program tells the truth: it stands there if and only if the program does not load the library.
# as COMMAND...: run before sinter, such as setpriv.
truth() {
  local loads=yes warns=no
  SINTER_CONF=help:on "${as[@]}" "$sinter" run "$@" >"$work/out" 2>"$work/err" </dev/null
  grep -q '^SINTER_CONF="key:value' "$work/err" || loads=no
  grep -q '^sinter run: .*: it runs without Sinter$' "$work/err" && warns=yes
  [ "$loads" != "$warns" ] && return
  echo "$*: loads the library: $loads, warning: $warns"
  cat "$work/err"
  return 1
}
warned() { truth "$@" && grep -q 'it runs without Sinter' "$work/err" || { cat "$work/err"; return 1; }; }
not_warned() { truth "$@" && ! grep -q 'it runs without Sinter' "$work/err"; }

as=()
ordinary() {
  printf '#!/bin/sh\nexit 0\n' >"$work/script" && printf 'exit 0\n' >"$work/bare" && chmod +x "$work/script" "$work/bare"
  not_warned true && not_warned "$work/script" && not_warned env true && not_warned "$work/bare" || return 1
  local loader
  loader=$(readelf -lW /bin/true | sed -n 's/.*interpreter: \(.*\)]/\1/p')
  [ -z "$loader" ] || not_warned "$loader" /bin/true
}

static_program() {
  local program=/sbin/ldconfig
  ldd "$program" 2>&1 | grep -qE 'statically linked|not a dynamic' || { echo "(no statically linked program here)"; return 0; }
  warned "$program" --version && grep -q 'statically linked' "$work/err" && grep -q '^ldconfig' "$work/out" || return 1
  printf '#! %s --version\n' "$program" >"$work/of-static" && chmod +x "$work/of-static"
  warned "$work/of-static" && grep -q "is a script: $program is statically linked" "$work/err"
}

other_machine() {
  cp /bin/true "$work/foreign" && printf '\363' | dd of="$work/foreign" bs=1 seek=18 conv=notrunc status=none
  ! run "$work/foreign" 2>"$work/err" && grep -q 'another kind of machine' "$work/err"
}

other_loader() {
  local loader new=$work/ld.so
  loader=$(readelf -lW /bin/true | sed -n 's/.*interpreter: \(.*\)]/\1/p')
  local zeros=$((${#loader} - ${#new}))
  [ "$zeros" -ge 0 ] || { echo "(the temporary directory has too long a name)"; return 0; }
  cp "$(realpath "$loader")" "$new"
  LC_ALL=C sed "s|$loader|$new$(printf '%*s' "$zeros" '' | sed 's/ /\\x00/g')|" /bin/true >"$work/other" && chmod +x "$work/other"
  run "$work/other" 2>"$work/err" && said "is loaded by $new"
}

# A copy of a program that may do more than its user.
more_rights() {
  local as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  cp /bin/true "$work/plain" && cp /bin/true "$work/raised" && chmod 4755 "$work/raised"
  not_warned "$work/plain" || return 1
  if findmnt -no OPTIONS -T "$work" | grep -q nosuid; then
    not_warned "$work/raised" || return 1
  else
    warned "$work/raised" && grep -q 'set-user-ID' "$work/err" || return 1
    as+=(--no-new-privs)
    not_warned "$work/raised" || return 1
  fi
  as=() # root's own program gives root nothing
  not_warned "$work/raised"
}

step "the library of the build tree" library_of_build_tree
step "flags" flags
step "every option as a flag" all_flags
step "flags without a value" bare_flags
step "what the environment has" environment
step "arguments" arguments
step "exit statuses, signals, descriptors" status
step "what is refused" refused
step "programs that preload" ordinary
step "a statically linked program" static_program
step "a program of another machine" other_machine
step "a program of another loader" other_loader
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && setpriv --reuid=65534 --clear-groups test -x "$sinter"; then
  step "programs with more rights than their user" more_rights
else
  echo "(set-user-ID programs are not tried: this takes root, and a build directory that others may read)"
fi
finish
