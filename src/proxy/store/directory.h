/*
 * The certificates of a folder, by the names of its files:
 *
 *     NAME.crt and NAME.key             a pair; lego writes this, too
 *     NAME.pem                          both in one file, as hitch and HAProxy have it
 *     NAME/fullchain.pem, privkey.pem   certbot's folder `live`
 *     NAME.ocsp                         beside any of them: the OCSP response
 *
 * lego's NAME.issuer.crt is in the chain of NAME.crt already. All other files are left alone.
 */
#ifndef PROXY_STORE_DIRECTORY_H
#define PROXY_STORE_DIRECTORY_H

#include <stdbool.h>

struct directory_item {
    const char *chain, *key, *staple; /* paths; `staple` may be NULL */
};

/* Calls back for each certificate, in the order of the names. False with errno: the folder cannot
 * be read, or memory is short. */
bool directory_for_each(const char *path,
                        void (*found)(void *owner, const struct directory_item *item), void *owner);

#endif
