#include "proxy/worker/transport/proxy_tlv.h"

#include <openssl/objects.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

/* Section 2.2.6; the last is in later editions of proxy-protocol.txt. */
enum ssl_tlv {
    TLV_SSL_VERSION = 0x21,
    TLV_SSL_CN = 0x22,
    TLV_SSL_CIPHER = 0x23,
    TLV_SSL_SIGNATURE_ALGORITHM = 0x24,
    TLV_SSL_KEY_ALGORITHM = 0x25,
    TLV_SSL_CLIENT_CERTIFICATE = 0x28
};
enum client_bit { CLIENT_SSL = 0x01, CLIENT_CERT_CONN = 0x02, CLIENT_CERT_SESS = 0x04 };
enum { VERIFIED = 0, NOT_VERIFIED = 1 };

/* A longer common name is left out and not cut, for a part of it might be another client's. */
#define COMMON_NAME_MAX 256

void proxy_tlv_write(struct writer *writer, uint8_t type, const void *value, size_t length)
{
    write_u8(writer, type);
    write_u16(writer, (uint16_t)length);
    write_bytes(writer, value, length);
}

void proxy_tlv_write_text(struct writer *writer, uint8_t type, const char *text)
{
    if (text != NULL && text[0] != '\0')
        proxy_tlv_write(writer, type, text, strlen(text));
}

/* "RSA2048", "EC256", "ED25519": the form of the specification's example. */
static void write_server_key(struct writer *writer, X509 *certificate)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    int digest = NID_undef;
    char text[64];
    if (OBJ_find_sigid_algs(X509_get_signature_nid(certificate), &digest, NULL) == 1 &&
        digest != NID_undef)
        proxy_tlv_write_text(writer, TLV_SSL_SIGNATURE_ALGORITHM, OBJ_nid2sn(digest));
    if (key == NULL)
        return;
    const char *name = EVP_PKEY_get0_type_name(key);
    bool sized =
        EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS") || EVP_PKEY_is_a(key, "EC");
    if (sized)
        snprintf(text, sizeof text, "%s%d", name, EVP_PKEY_get_bits(key));
    else
        snprintf(text, sizeof text, "%s", name);
    proxy_tlv_write_text(writer, TLV_SSL_KEY_ALGORITHM, text);
}

/* The first common name, in UTF-8. */
static void write_common_name(struct writer *writer, const X509 *certificate)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    unsigned char *text = NULL;
    if (at < 0)
        return;
    int length =
        ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (length > 0 && length <= COMMON_NAME_MAX && memchr(text, '\0', (size_t)length) == NULL)
        proxy_tlv_write(writer, TLV_SSL_CN, text, (size_t)length);
    OPENSSL_free(text);
}

static void write_whole(struct writer *writer, const X509 *certificate)
{
    unsigned char *bytes = NULL;
    int length = i2d_X509(certificate, &bytes);
    if (length > 0 && length <= CLIENT_CERTIFICATE_MAX)
        proxy_tlv_write(writer, TLV_SSL_CLIENT_CERTIFICATE, bytes, (size_t)length);
    OPENSSL_free(bytes);
}

static void write_client(struct writer *writer, const SSL *ssl, const X509 *client)
{
    bool verified = client != NULL && SSL_get_verify_result(ssl) == X509_V_OK;
    unsigned bits = CLIENT_SSL;
    if (client != NULL)
        bits |= CLIENT_CERT_SESS | (SSL_session_reused(ssl) ? 0 : CLIENT_CERT_CONN);
    write_u8(writer, (uint8_t)bits);
    write_u32(writer, verified ? VERIFIED : NOT_VERIFIED);
}

void proxy_tlv_write_ssl(struct writer *writer, SSL *ssl, bool whole)
{
    const X509 *client = SSL_get0_peer_certificate(ssl);
    struct writer head = *writer;
    proxy_tlv_write(writer, TLV_SSL, NULL, 0); /* the length is written at the end */
    const uint8_t *begin = writer->next;
    write_client(writer, ssl, client);
    proxy_tlv_write_text(writer, TLV_SSL_VERSION, SSL_get_version(ssl));
    proxy_tlv_write_text(writer, TLV_SSL_CIPHER, SSL_get_cipher_name(ssl));
    /* In a resumed handshake no certificate was presented; libssl would return an arbitrary one. */
    X509 *server = SSL_session_reused(ssl) ? NULL : SSL_get_certificate(ssl);
    if (server != NULL)
        write_server_key(writer, server);
    if (client != NULL)
        write_common_name(writer, client);
    if (client != NULL && whole)
        write_whole(writer, client);
    write_u8(&head, TLV_SSL);
    write_u16(&head, (uint16_t)(writer->next - begin));
}
