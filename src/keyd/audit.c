#include "keyd/audit.h"

#include <inttypes.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/log.h"
#include "immure/scheme.h"

#define REPORT_PAUSE NS_PER_S
#define SHA256_SIZE 32

/* A pipe takes a line of at most this many bytes whole or not at all. */
struct line {
    char bytes[PIPE_BUF];
    FILE *out;
};

void audit_init(struct audit *audit, bool all)
{
    *audit = (struct audit){.all = all, .try_again = UINT64_MAX};
}

static bool line_begin(struct line *line, const char *what)
{
    char time[LOG_TIME_SIZE];
    line->out = fmemopen(line->bytes, sizeof line->bytes, "w");
    if (line->out == NULL)
        return false;
    log_time(time);
    fprintf(line->out, "{\"time\":\"%s\",\"program\":\"immured\",\"pid\":%d,\"audit\":\"%s\"", time,
            (int)getpid(), what);
    return true;
}

static void line_put_text(struct line *line, const char *name, const char *text)
{
    fprintf(line->out, ",\"%s\":", name);
    if (text == NULL) {
        fputs("null", line->out);
        return;
    }
    fputc('"', line->out);
    escape_write(line->out, ESCAPE_JSON, text);
    fputc('"', line->out);
}

static void line_put_hex(struct line *line, const char *name, const uint8_t *bytes, size_t length)
{
    if (bytes == NULL)
        return;
    fprintf(line->out, ",\"%s\":\"", name);
    for (size_t i = 0; i < length; i++)
        fprintf(line->out, "%02x", bytes[i]);
    fputc('"', line->out);
}

static void line_put_request(struct line *line, const struct peer *peer, const struct key *key,
                             const uint8_t *key_id, uint16_t scheme)
{
    fprintf(line->out, ",\"peer_pid\":%d,\"peer_uid\":%u", (int)peer->pid, (unsigned)peer->uid);
    line_put_text(line, "key", key != NULL ? key->name : NULL);
    line_put_hex(line, "key_id", key != NULL ? key->id : key_id, WIRE_KEY_ID_SIZE);
    const struct wire_scheme *known = wire_scheme_find(scheme);
    char number[8];
    snprintf(number, sizeof number, "0x%04x", scheme);
    line_put_text(line, "scheme", scheme == 0 ? NULL : known != NULL ? known->name : number);
}

/* Ends the line and writes it, or not; false: there was no room. */
static bool line_write(struct line *line)
{
    fputs("}\n", line->out);
    long length = ftell(line->out);
    return fclose(line->out) == 0 && length > 0 && log_put_line(line->bytes, (size_t)length);
}

static void line_end(struct audit *audit, struct line *line)
{
    if (line_write(line))
        return;
    if (audit->lost++ == 0)
        audit->try_again = 0;
}

uint64_t audit_deadline(const struct audit *audit)
{
    return audit->try_again;
}

void audit_report(struct audit *audit, uint64_t now)
{
    struct line line;
    if (now < audit->try_again)
        return;
    audit->try_again = now + REPORT_PAUSE;
    if (!line_begin(&line, "lost"))
        return;
    fprintf(line.out, ",\"lines\":%" PRIu64, audit->lost);
    if (line_write(&line)) {
        audit->lost = 0;
        audit->try_again = UINT64_MAX;
    }
}

void audit_refused(struct audit *audit, const struct peer *peer,
                   const struct audit_request *request, enum immure_error error, const char *reason)
{
    struct line line;
    if (!line_begin(&line, request->alarm ? "alarm" : "refused"))
        return;
    line_put_request(&line, peer, request->key, request->key_id, request->scheme);
    fprintf(line.out, ",\"error\":%d", (int)error);
    line_put_text(&line, "reason", reason != NULL ? reason : immure_error_text(error));
    line_end(audit, &line);
}

void audit_signed(struct audit *audit, const struct peer *peer, const struct job *job)
{
    struct line line;
    uint8_t digest[SHA256_SIZE];
    if (!audit->all || !line_begin(&line, job->operation == JOB_SIGN ? "signed" : "decrypted"))
        return;
    bool hashed = EVP_Digest(job->message, job->message_length, digest, NULL, EVP_sha256(), NULL);
    line_put_request(&line, peer, job->key, NULL, job->scheme != NULL ? job->scheme->code : 0);
    line_put_hex(&line, "message_sha256", hashed ? digest : NULL, sizeof digest);
    line_end(audit, &line);
}
