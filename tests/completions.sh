# What the shells complete after `sinter`.
. "$(dirname "$0")/lib.sh"
PATH=$(realpath "$builddir/../tools"):$PATH
completions=$(realpath "$srcdir/../tools/completions")

# bash_completes WORD... EXPECTED: the last word is completed to the ones in EXPECTED, and to others perhaps.
bash_completes() {
  local words=("${@:1:$#-1}") expected=${*: -1} word replies
  replies=$(within 30 bash -c '
    . "$1"
    compopt() { :; }
    COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2))
    _sinter sinter
    printf " %s " "${COMPREPLY[@]}"' - "$completions/bash/sinter" "${words[@]}")
  for word in $expected; do
    [[ $replies == *" $word "* ]] || { echo "'${words[*]}' gave: $replies"; return 1; }
  done
}


# The functions of the zsh file, with compadd and the like printing what they are given.
zsh_completes() {
  local expected=${*: -1} word replies
  replies=$(within 30 zsh -fc '
    compadd() { shift; print -r -- "$@"; }
    _describe() { print -r -- ${(P)2}; }
    _files() { :; }
    _normal() { print -r -- normal $words; }
    _command_names() { print commands; }
    words=("${@:2}") CURRENT=$(($# - 1))
    . "$1"' - "$completions/zsh/_sinter" "${@:1:$#-1}" | tr '\n' ' ')
  for word in $expected; do
    [[ " $replies " == *" $word"[:\ ]* ]] || { echo "'${*:1:$#-1}' gave: $replies"; return 1; }
  done
}

step "bash: commands" bash_completes sinter r "run report"
step "bash: options" bash_completes sinter report --r "--rounds= --ready="
step "bash: the program" bash_completes sinter run tru "true"
step "bash: the program behind --" bash_completes sinter report --rounds 2 -- tru "true"
step "bash: the program's arguments" bash_completes sinter run ls "$completions/bash/sin" "$completions/bash/sinter"
LD_PRELOAD=$SINTER_LIB sleep 60 &
trap 'kill "$!"' EXIT
for ((i = 0; i < 200; i++)); do
  ! grep -qsF libsinter "/proc/$!/maps" || break
  sleep 0.05
done
step "bash: processes" bash_completes sinter stat "${!:0:1}" "$!"
if command -v zsh >/dev/null; then
  step "zsh: commands" zsh_completes sinter r "run report"
  step "zsh: options" zsh_completes sinter report --r "--rounds --ready"
  step "zsh: the program" zsh_completes sinter run tru "commands"
  step "zsh: the program's arguments" zsh_completes sinter report --rounds 2 -- ls x "normal ls x"
  step "zsh: processes" zsh_completes sinter stat "" "$!"
fi
finish
