#include "keyd/front/intake.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "keyd/front/dispatch.h"
#include "keyd/front/line.h"

static bool receive(struct session *session)
{
    size_t size;
    uint8_t *room = wire_decoder_room(&session->decoder, &size);
    if (room == NULL) {
        session_schedule_flush(session, false);
        return false;
    }
    /* recv(), never recvmsg(): no descriptor can come in */
    ssize_t got = recv(session->watch.descriptor, room, size, MSG_DONTWAIT);
    if (got > 0)
        wire_decoder_received(&session->decoder, (size_t)got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        session_end(session);
    return got > 0;
}

/* Handles the next frame. `whole` becomes false if the decoder has no whole frame. */
static void take_frame(struct session *session)
{
    struct wire_frame frame;
    bool more = false;
    enum immure_error error = wire_decoder_next(&session->decoder, &frame, &more);
    session->whole = error == IMMURE_OK && !more;
    if (session->whole)
        error = dispatch(session, &frame);
    if (error != IMMURE_OK) {
        session->server->stats.protocol_errors++;
        session_refuse(session, error, NULL);
    }
}

/* Whether unread replies pause its input: its own, or those of its account if it has some too. */
static bool is_paused(struct session *session)
{
    session->paused = buffer_length(&session->output) >= SESSION_OUTPUT_PAUSE;
    return session->paused || (session->unread > 0 && !account_reads(session->account));
}

/* Handles the frames of the session's turn. True: there are more. */
static bool take_frames(struct session *session)
{
    list_remove(&session->account_node); /* to the end: it is the least silent one now */
    list_append(&session->account->sessions, &session->account_node);
    bool paused = false;
    if (!session->whole)
        session->whole = receive(session);
    for (int i = 0; i < SESSION_FRAMES_AT_ONCE && session->whole && !session->ending &&
                    !(paused = is_paused(session));
         i++)
        take_frame(session);
    if (session->watch.descriptor < 0)
        return false;
    if (!session->whole)
        wire_decoder_rest(&session->decoder);
    if (session->whole && !session->ending && !paused)
        return true;
    if (paused && !session->paused)
        list_append(&session->account->paused, &session->input_node);
    session_rewatch(session);
    return false;
}

/* Takes the input of one session of the account. Then it is the turn of the next account, and later
 * of the account's next session. */
static void take_input_of(struct keyd_server *server, struct account *account)
{
    struct list *node = list_take(&account->input);
    struct session *session = node != NULL ? list_entry(node, struct session, input_node) : NULL;
    if (session != NULL && take_frames(session))
        list_append(&account->input, &session->input_node);
    line_resume(server, account);
}

void intake_run(struct keyd_server *server)
{
    uint64_t until = clock_now() + SERVER_INPUT_TIME;
    for (struct list *node; clock_now() < until && (node = list_take(&server->input)) != NULL;)
        take_input_of(server, list_entry(node, struct account, input_node));
}
