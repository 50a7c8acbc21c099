#include "keyd/front/audit.h"

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

/* The rates for lines of one kind by one account, and for all accounts together. The latter fit
 * into half of a pipe. */
static const struct rate of_account = {.interval = NS_PER_S / 10, .burst = 2 * NS_PER_S};
static const struct rate of_all = {.interval = NS_PER_S / 100, .burst = NS_PER_S};

#define SHA256_SIZE 32

/* A pipe takes a line of at most this many bytes whole or not at all. */
struct audit_line {
    char bytes[PIPE_BUF];
    FILE *out;
};

/* Counts a line that was not written. */
static void count_line(struct audit *audit, struct account *account, enum account_line kind)
{
    account->lines[kind].more++;
    if (list_linked(&account->untold_node))
        return;
    if (list_empty(&audit->untold))
        timer_start(audit->loop, &audit->report, REPORT_PAUSE);
    list_append(&audit->untold, &account->untold_node);
}

bool audit_admits(struct audit *audit, struct account *account, enum account_line kind)
{
    uint64_t now = audit->loop->now;
    uint64_t *bucket = &account->lines[kind].bucket;
    bool kept_back = kind == ACCOUNT_LINE_ALARM; /* room is reserved for alarms */
    if (kind == ACCOUNT_LINE_SIGNED)
        return true;
    if (!rate_admits(&of_account, *bucket, 1, now) ||
        (!kept_back && !rate_admits(&of_all, audit->lines, 1, now))) {
        count_line(audit, account, kind);
        return false;
    }
    account_take(account, &of_account, bucket, 1, now);
    if (!kept_back)
        rate_take(&of_all, &audit->lines, 1, now);
    return true;
}

static bool line_begin(struct audit_line *line, const char *what)
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

static void line_put_text(struct audit_line *line, const char *name, const char *text)
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

static void line_put_hex(struct audit_line *line, const char *name, const uint8_t *bytes,
                         size_t length)
{
    if (bytes == NULL)
        return;
    fprintf(line->out, ",\"%s\":\"", name);
    for (size_t i = 0; i < length; i++)
        fprintf(line->out, "%02x", bytes[i]);
    fputc('"', line->out);
}

static void line_put_request(struct audit_line *line, const struct peer *peer,
                             const struct key *key, const uint8_t *key_id, uint16_t scheme)
{
    fprintf(line->out, ",\"peer_pid\":%d,\"peer_uid\":%u", (int)peer->pid, (unsigned)peer->uid);
    line_put_text(line, "key", key != NULL ? key->name : NULL);
    line_put_hex(line, "key_id", key != NULL ? key->id : key_id, WIRE_KEY_ID_SIZE);
    const struct wire_scheme *known = wire_scheme_find(scheme);
    char number[8];
    snprintf(number, sizeof number, "0x%04x", scheme);
    line_put_text(line, "scheme", scheme == 0 ? NULL : known != NULL ? known->name : number);
}

/* Ends the line and writes it. False: there was no room. */
static bool line_write(struct audit_line *line)
{
    fputs("}\n", line->out);
    long length = ftell(line->out);
    return fclose(line->out) == 0 && length > 0 && log_put_line(line->bytes, (size_t)length);
}

static void line_end(struct audit *audit, struct audit_line *line, struct account *account,
                     enum account_line kind)
{
    if (!line_write(line))
        count_line(audit, account, kind);
}

static bool report_line(const struct account *account, enum account_line kind)
{
    static const char *const kinds[ACCOUNT_LINES] = {[ACCOUNT_LINE_REFUSED] = "refused",
                                                     [ACCOUNT_LINE_ALARM] = "alarm",
                                                     [ACCOUNT_LINE_SIGNED] = "signed",
                                                     [ACCOUNT_LINE_SESSION] = "session"};
    struct audit_line line;
    if (!line_begin(&line, kinds[kind]))
        return false;
    if (account->id == ACCOUNT_SHARED)
        fputs(",\"peer_uid\":null", line.out);
    else
        fprintf(line.out, ",\"peer_uid\":%" PRIu64, account->id);
    fprintf(line.out, ",\"more\":%" PRIu64, account->lines[kind].more);
    return line_write(&line);
}

/* Writes the account's counts. Returns whether none is left. */
static bool report_account(struct audit *audit, struct account *account)
{
    uint64_t now = audit->loop->now;
    bool told = true;
    for (size_t kind = 0; kind < ACCOUNT_LINES; kind++) {
        bool due = account->lines[kind].more > 0;
        bool may = kind == ACCOUNT_LINE_ALARM || rate_admits(&of_all, audit->lines, 1, now);
        if (due && may && report_line(account, kind)) {
            account->lines[kind].more = 0;
            rate_take(&of_all, &audit->lines, 1, now);
        }
        told &= account->lines[kind].more == 0;
    }
    return told;
}

/* Writes how many lines were suppressed. */
static void report(struct timer *timer)
{
    struct audit *audit = list_entry(timer, struct audit, report);
    list_for_each(node, &audit->untold)
    {
        if (report_account(audit, list_entry(node, struct account, untold_node)))
            list_remove(node);
    }
    if (!list_empty(&audit->untold))
        timer_start(audit->loop, timer, REPORT_PAUSE);
}

void audit_init(struct audit *audit, struct loop *loop, bool all)
{
    *audit = (struct audit){.all = all, .loop = loop};
    list_init(&audit->untold);
    timer_init(&audit->report, report);
}

void audit_refused(struct audit *audit, struct account *account, const struct peer *peer,
                   const struct audit_request *request, enum immure_error error, const char *reason)
{
    struct audit_line line;
    enum account_line kind = request->alarm ? ACCOUNT_LINE_ALARM : ACCOUNT_LINE_REFUSED;
    if (!audit_admits(audit, account, kind) ||
        !line_begin(&line, request->alarm ? "alarm" : "refused"))
        return;
    line_put_request(&line, peer, request->key, request->key_id, request->scheme);
    fprintf(line.out, ",\"error\":%d", (int)error);
    line_put_text(&line, "reason", reason != NULL ? reason : immure_error_text(error));
    line_end(audit, &line, account, kind);
}

void audit_signed(struct audit *audit, struct account *account, const struct peer *peer,
                  const struct job *job)
{
    struct audit_line line;
    uint8_t digest[SHA256_SIZE];
    if (!audit->all || !line_begin(&line, job->operation == JOB_SIGN ? "signed" : "decrypted"))
        return;
    bool hashed = EVP_Digest(job->message, job->message_length, digest, NULL, EVP_sha256(), NULL);
    line_put_request(&line, peer, job->key, NULL, job->scheme != NULL ? job->scheme->code : 0);
    line_put_hex(&line, "message_sha256", hashed ? digest : NULL, sizeof digest);
    line_end(audit, &line, account, ACCOUNT_LINE_SIGNED);
}
