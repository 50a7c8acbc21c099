/* The error in a configuration: the first one that was found. */
#ifndef CONF_ERROR_H
#define CONF_ERROR_H

/* "FILE:LINE: reason", one line without a newline; "": there is no error. */
struct conf_error {
    char text[512];
};

#endif
