#include "loops.h"

struct search {
    const struct variable *name;
    uint32_t count;
};

static bool good(const struct search *s, const struct node *n, bool tail);

static bool good_list(const struct search *s, const struct node *n)
{
    for (uint32_t i = 0; i < n->count; i++)
        if (!good(s, n->list[i], false))
            return false;
    return true;
}

static bool good_sequence(const struct search *s, const struct node *n, bool tail)
{
    for (uint32_t i = 0; i < n->count; i++)
        if (!good(s, n->list[i], tail && i == n->count - 1))
            return false;
    return true;
}

static bool good_call(const struct search *s, const struct node *n, bool tail)
{
    bool jump = n->first->kind == NODE_LOCAL && n->first->variable == s->name;
    if (jump ? !tail || n->count != s->count : !good(s, n->first, false))
        return false;
    return good_list(s, n);
}

static bool good(const struct search *s, const struct node *n, bool tail)
{
    switch (n->kind) {
    case NODE_CONSTANT:
    case NODE_GLOBAL:
        return true;
    case NODE_LOCAL:
        return n->variable != s->name;
    case NODE_SET_LOCAL:
        return n->variable != s->name && good(s, n->first, false);
    case NODE_SET_GLOBAL:
    case NODE_DEFINE_GLOBAL:
        return good(s, n->first, false);
    case NODE_IF:
        return good(s, n->first, false) && good(s, n->second, tail) && good(s, n->third, tail);
    case NODE_OR:
        return good(s, n->first, false) && good(s, n->second, tail);
    case NODE_SEQUENCE:
        return good_sequence(s, n, tail);
    case NODE_LAMBDA:
        return good(s, n->function->body, false);
    case NODE_CALL:
        return good_call(s, n, tail);
    case NODE_LET:
    case NODE_LETREC:
    case NODE_LOOP:
        return good_list(s, n) && good(s, n->first, tail);
    }
    return false;
}

bool loops_only_jumps(const struct node *body, const struct variable *name, uint32_t count)
{
    struct search search = {name, count};
    return !name->mutated && good(&search, body, true);
}
