/*
 * What keeps a library that is preloaded out of a program.
 */
#ifndef SINTER_OBSTACLE_H
#define SINTER_OBSTACLE_H

/*
 * Why the dynamic loader will not load the library into this program, which is looked for as execvp(3) does: a phrase
 * that follows the program's name, to be freed; of a script, its interpreter's. NULL: nothing is known against it, or there is no such program.
 */
char *preload_obstacle(const char *program);

#endif
