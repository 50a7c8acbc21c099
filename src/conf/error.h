/* What is wrong with a configuration. */
#ifndef CONF_ERROR_H
#define CONF_ERROR_H

/* "FILE:LINE: reason", one line, without the newline; "": nothing. */
struct conf_error {
    char text[512];
};

#endif
