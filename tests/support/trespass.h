/* System calls that a sandboxed process must not make, for test builds of the programs. */
#ifndef TRESPASS_H
#define TRESPASS_H

/* Makes call `number` of the list in trespass.c; returns if the kernel permits it. */
void trespass(unsigned number);

#endif
