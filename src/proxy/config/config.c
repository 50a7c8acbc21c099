#include "proxy/config/config.h"

const char *proxy_protocol_name(enum proxy_protocol protocol)
{
    static const char *const names[] = {[PROXY_PROTOCOL_NONE] = "none",
                                        [PROXY_PROTOCOL_V1] = "v1",
                                        [PROXY_PROTOCOL_V2] = "v2",
                                        [PROXY_PROTOCOL_ANY] = "any"};
    return names[protocol];
}

const char *signing_mode_name(enum signing_mode mode)
{
    static const char *const names[] = {
        [SIGNING_ASYNC] = "async", [SIGNING_SYNC] = "sync", [SIGNING_IN_PROCESS] = "in-process"};
    return names[mode];
}
