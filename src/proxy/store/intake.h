/*
 * Takes certificates into a store that is being made. A file that is the same as when another store
 * was made, or that has been read for this one already, is not read again.
 */
#ifndef PROXY_STORE_INTAKE_H
#define PROXY_STORE_INTAKE_H

#include <stddef.h>

#include "proxy/store/builder.h"
#include "proxy/store/refusals.h"
#include "proxy/store/store.h"
#include "proxy/store/wanted.h"

struct intake;

/* `before`: the store in force, or NULL; `refused`: keys whose certificates are bad, or NULL. Both
 * outlive the intake. NULL: out of memory. */
struct intake *intake_new(struct store_builder *builder, const struct store *before,
                          const struct refusals *refused);
void intake_free(struct intake *intake);

/* Adds the certificate and its names. False: `reason` says which file is bad and why: "PATH: not a
 * PEM certificate chain: ...". */
bool intake_add(struct intake *intake, const struct wanted *wanted, char *reason, size_t size);

/* For a certificate that could not be added: adds the one that the store before has from this file,
 * whatever the file is now. False: it has none. */
bool intake_keep(struct intake *intake, const struct wanted *wanted);

/* How many files were read, and were not because they are known. */
size_t intake_read_count(const struct intake *intake);

#endif
