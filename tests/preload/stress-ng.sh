# stress-ng's malloc stressor, which checks what it wrote.
. "$(dirname "$0")/lib.sh"
need stress-ng
takes_library stress-ng --version

stress() {
  (cd "$tmp" && within 100 env LD_PRELOAD="$SINTER_LIB" stress-ng --temp-path "$tmp" --timeout 60 --verify --oomable \
    --quiet "$@")
}
step "malloc" stress --malloc 2 --malloc-ops 12000 --malloc-bytes 128m
step "malloc, four threads each" stress --malloc 2 --malloc-ops 20000 --malloc-bytes 64m --malloc-pthreads 4
step "malloc, touched" stress --malloc 2 --malloc-ops 2000 --malloc-bytes 16m --malloc-touch
step "fork" stress --fork 2 --fork-ops 500
step "bsearch, qsort, tree" stress --qsort 1 --qsort-ops 5 --tree 1 --tree-ops 5 --bsearch 1 --bsearch-ops 20
finish
