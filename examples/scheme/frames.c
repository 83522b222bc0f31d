#include "frames.h"

#include "code.h"
#include "port.h"

static const struct code *code_of(value closure)
{
    return has_type(closure, T_CLOSURE) ? ((struct template *)((struct closure *)closure)->template)->code
                                        : NULL;
}

static const struct code *position_in(value procedure, const int32_t *ip, uint32_t *line)
{
    const struct code *code = code_of(procedure);
    if (code == NULL || ip < code->words || ip > code->words + code->size)
        return NULL;
    *line = code_line(code, (size_t)(ip - code->words));
    return code;
}

/* A frame of the stack, and where its code is. */
struct place {
    value *fp;
    const int32_t *ip;
    const struct code *code;
    uint32_t line;
};

/* From this frame outwards, to the next whose position in a file is known. */
static bool find_place(struct place *p)
{
    for (; p->fp > vm.stack + 2; p->ip = untag(p->fp[-3]), p->fp = untag(p->fp[-2])) {
        p->code = position_in(p->fp[-1], p->ip, &p->line);
        if (p->code != NULL && p->code->file != 0 && p->line != 0)
            return true;
    }
    return false;
}

const struct code *vm_position(uint32_t *line)
{
    struct place p = {vm.fp, vm.ip, NULL, 0};
    if (!find_place(&p))
        return NULL;
    *line = p.line;
    return p.code;
}

void vm_backtrace(FILE *file)
{
    struct place p = {vm.fp, vm.ip, NULL, 0};
    for (unsigned shown = 0; shown < 10 && find_place(&p); shown++) {
        value name = ((struct template *)((struct closure *)p.fp[-1])->template)->constants[0];
        const struct string *s = is_symbol(name) ? ((struct symbol *)name)->name : NULL;
        fprintf(file, "    at %s:%u%s%.*s\n", file_name(p.code->file), p.line, s != NULL ? ", in " : "",
                s != NULL ? (int)s->length : 0, s != NULL ? s->bytes : "");
        p.ip = untag(p.fp[-3]);
        p.fp = untag(p.fp[-2]);
    }
}
