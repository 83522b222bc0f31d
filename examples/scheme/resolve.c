#include "resolve.h"

#include <string.h>

static void resolve_node(struct node *n, struct function *f);

static bool has_free(const struct function *f, const struct variable *v)
{
    for (uint32_t i = 0; i < f->free_count; i++)
        if (f->free[i] == v)
            return true;
    return false;
}

static void add_free(struct function *f, struct variable *v)
{
    if (f->free_count == f->free_room) {
        uint32_t room = f->free_room == 0 ? 4 : f->free_room * 2;
        struct variable **more = ast_alloc(room * sizeof(struct variable *));
        if (f->free_count > 0)
            memcpy(more, f->free, f->free_count * sizeof(struct variable *));
        f->free = more;
        f->free_room = room;
    }
    f->free[f->free_count++] = v;
}

/* Every function between the use and the owner has to hand it on. */
static void use(struct variable *v, struct function *f)
{
    for (; f != v->owner; f = f->up) {
        if (has_free(f, v))
            return;
        add_free(f, v);
    }
}

static void own_all(struct variable **variables, uint32_t count, struct function *f)
{
    for (uint32_t i = 0; i < count; i++)
        if (variables[i] != NULL)
            variables[i]->owner = f;
}

static void resolve_list(struct node **list, uint32_t count, struct function *f)
{
    for (uint32_t i = 0; i < count; i++)
        resolve_node(list[i], f);
}

static void resolve_bindings(struct node *n, struct function *f)
{
    own_all(n->variables, n->count, f);
    resolve_list(n->list, n->count, f);
    resolve_node(n->first, f);
}

static void resolve_node(struct node *n, struct function *f)
{
    switch (n->kind) {
    case NODE_CONSTANT:
    case NODE_GLOBAL:
        break;
    case NODE_LOCAL:
        if (n->variable->loop == NULL)
            use(n->variable, f);
        break;
    case NODE_SET_LOCAL:
        use(n->variable, f);
        resolve_node(n->first, f);
        break;
    case NODE_SET_GLOBAL:
    case NODE_DEFINE_GLOBAL:
        resolve_node(n->first, f);
        break;
    case NODE_IF:
        resolve_node(n->first, f);
        resolve_node(n->second, f);
        resolve_node(n->third, f);
        break;
    case NODE_OR:
        resolve_node(n->first, f);
        resolve_node(n->second, f);
        break;
    case NODE_SEQUENCE:
        resolve_list(n->list, n->count, f);
        break;
    case NODE_CALL:
        resolve_node(n->first, f);
        resolve_list(n->list, n->count, f);
        break;
    case NODE_LAMBDA:
        n->function->up = f;
        resolve(n->function);
        break;
    case NODE_LET:
    case NODE_LETREC:
    case NODE_LOOP:
        resolve_bindings(n, f);
        break;
    }
}

void resolve(struct function *f)
{
    own_all(f->parameters, f->count, f);
    resolve_node(f->body, f);
}
