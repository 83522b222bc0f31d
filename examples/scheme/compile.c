#include "compile.h"

#include "emit.h"
#include "object.h"
#include "parse.h"
#include "resolve.h"

value compile(value form)
{
    ast_reset();
    parse_reset();
    struct function *f = ast_alloc(sizeof(*f));
    f->name = ast_hold(FALSE);
    f->body = parse_top(form);
    resolve(f);
    value template = ast_held(emit(f));
    ROOTS(template);
    struct closure *c = object_new(T_CLOSURE, sizeof(*c));
    c->template = template;
    return c;
}
