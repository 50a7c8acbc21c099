#include "keyd/front/line.h"

void line_add(struct keyd_server *server, struct account *account, struct list *input_node)
{
    list_append(&account->input, input_node);
    line_resume(server, account);
}

void line_resume(struct keyd_server *server, struct account *account)
{
    if (account_reads(account))
        list_move_all(&account->input, &account->paused);
    if (!list_linked(&account->input_node) && !list_empty(&account->input))
        list_append(&server->input, &account->input_node);
}
