/* System calls that a process behind its walls must not make, for test builds of the programs. */
#ifndef TRESPASS_H
#define TRESPASS_H

/* Makes the call of this number in the list of trespass.c; returns if the kernel let it. */
void trespass(unsigned number);

#endif
