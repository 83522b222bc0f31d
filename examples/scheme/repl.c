#include "repl.h"

#include "object.h"
#include "print.h"
#include "symbol.h"
#include "vm.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_READLINE
#if __has_include(<readline/readline.h>)
#include <readline/history.h>
#include <readline/readline.h>
#else /* libedit */
#include <editline/readline.h>
#endif
#endif

static void interrupt(int signal_number)
{
    (void)signal_number;
    vm.interrupted = 1;
}

static char *plain_line(const char *prompt)
{
    char *line = NULL;
    size_t room = 0;
    fputs(prompt, stdout);
    fflush(stdout);
    ssize_t length = getline(&line, &room, stdin);
    if (length < 0) {
        free(line);
        return NULL;
    }
    if (length > 0 && line[length - 1] == '\n')
        line[length - 1] = '\0';
    return line;
}

/* A line from malloc; NULL at the end. The heap may be collected meanwhile. */
static char *next_line(const char *prompt)
{
    bool terminal = isatty(STDIN_FILENO);
    char *line;
    heap_block();
#ifdef HAVE_READLINE
    line = terminal ? readline(prompt) : plain_line("");
    if (terminal && line != NULL && *line != '\0')
        add_history(line);
#else
    line = plain_line(terminal ? prompt : "");
#endif
    heap_unblock();
    return line;
}

/* How many parentheses are open at the end of the text; an open string counts as one. */
static int open_parentheses(const char *s)
{
    int open = 0;
    for (; *s != '\0'; s++) {
        if (*s == ';') {
            s += strcspn(s, "\n");
            if (*s == '\0')
                break;
        } else if (*s == '#' && s[1] == '\\' && s[2] != '\0') {
            s += 2;
        } else if (*s == '"') {
            for (s++; *s != '"'; s++) {
                if (*s == '\\' && s[1] != '\0')
                    s++;
                if (*s == '\0')
                    return open + 1;
            }
        } else {
            open += (*s == '(' || *s == '[') - (*s == ')' || *s == ']');
        }
    }
    return open;
}

/* Lines until what was opened is closed. False: the input has ended. */
static bool next_input(struct text *text)
{
    text->length = 0;
    do {
        char *line = next_line(text->length == 0 ? "> " : "  ");
        if (line == NULL)
            return false;
        text_string(text, line);
        text_string(text, "\n");
        free(line);
        text_byte(text, '\0');
        text->length--;
    } while (open_parentheses(text->bytes) > 0);
    return true;
}

static void show(value v)
{
    struct text text = {0};
    if (v == UNSPECIFIED)
        return;
    print(&text, v, PRINT_WRITE);
    printf("%.*s\n", (int)text.length, text.bytes);
    free(text.bytes);
}

int repl(void)
{
    struct sigaction action = {.sa_handler = interrupt};
    struct text input = {0};
    uint32_t evaluate = global_number(symbol_from("%evaluate-text"));
    sigaction(SIGINT, &action, NULL);
    while (next_input(&input)) {
        value text = string_new(input.bytes, input.length), name = NULL, result = NULL;
        ROOTS(text, name, result);
        name = string_from("repl");
        if (vm_run(*global_at(evaluate), 2, text, name, &result))
            show(result);
    }
    free(input.bytes);
    if (isatty(STDIN_FILENO))
        printf("\n");
    return 0;
}
