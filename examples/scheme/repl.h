/* Reads and evaluates what is typed. */
#ifndef SCHEME_REPL_H
#define SCHEME_REPL_H

/* Until the input ends. Returns the exit status. */
int repl(void);

#endif
