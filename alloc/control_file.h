/*
 * The file behind the control page (control_page.h): made and removed. The calling thread's descriptor table has to be its own.
 */
#ifndef SINTER_CONTROL_FILE_H
#define SINTER_CONTROL_FILE_H

#include "base.h"

/*
 * Makes the file of this process and maps it, not for children. Files of the user's processes that are gone are removed on the
 * way. NULL if there cannot be one: nothing is left behind then.
 */
void *control_file_map(void);

void control_file_remove(void);

#endif
