/*
 * Memory pressure, as the kernel measures it (PSI).
 */
#ifndef SINTER_PRESSURE_H
#define SINTER_PRESSURE_H

/* A descriptor that poll(2) finds in POLLPRI when tasks wait for memory; or -errno. */
long pressure_open(void);

#endif
