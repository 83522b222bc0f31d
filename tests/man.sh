# The man pages are well formed, and every public function has its place in one.
. "$(dirname "$0")/lib.sh"
pages=$(realpath "$srcdir/../docs/man")
command -v mandoc >/dev/null || skip "mandoc is not installed"

well_formed() { mandoc -T lint -W warning "$1" 2>&1 | grep -v 'outdated mandoc.db' && return 1 || return 0; }

# What the header declares, without what its macros use.
functions() { grep -oE "$2"'[a-z_]*\(' "$srcdir/../include/sinter/$1" | tr -d '(' | grep -v '_$' | sort -u; }
documented() {
  local missing
  missing=$(comm -23 <(functions "$1" "$2") <(grep -oE "$2"'[a-z_]+' "$pages/$3" | sort -u))
  [ -z "$missing" ] || { echo "not in $3: $missing"; return 1; }
}

# Every command, and every option of each, as its help has them.
commands_documented() {
  local sinter=$builddir/../tools/sinter command option missing=0
  for command in $("$sinter" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
    grep -q "^\.Ss .*sinter $command" "$pages/sinter.1" || { echo "no section on sinter $command"; missing=1; }
    [ "$command" != run ] || continue # its options are those of sinter.conf(5)
    for option in $("$sinter" "$command" --help | grep -oE '^ +(-[a-z], )?--[a-z]+' | sed 's/.*--//'); do
      case $option in help | usage | version) continue ;; esac
      grep -q "Fl Fl $option\b" "$pages/sinter.1" || { echo "sinter $command --$option is not in sinter.1"; missing=1; }
    done
  done
  return "$missing"
}

for page in "$pages"/*.[1-8]; do
  step "${page##*/}" well_formed "$page"
done
step "the functions of malloc.h" documented malloc.h sinter_ sinter.3
step "the functions of gc.h" documented gc.h sinter_gc_ sinter_gc.3
step "the commands of sinter" commands_documented
finish
