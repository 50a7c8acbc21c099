/* Configuration files as text that libconfuse counts the lines of correctly. */
#ifndef CONF_TEXT_H
#define CONF_TEXT_H

/*
 * The whole file, terminated, with every comment (#, //, or between slash-star and star-slash)
 * replaced by blanks and every newline kept: libconfuse 3.3 counts a comment as three lines, and
 * ends the program when it is given a directory. The caller frees it. NULL with errno: EFBIG above
 * 16 MiB, EISDIR, EINVAL if there is a zero byte in it.
 */
char *conf_text_read(const char *file);
/* The same of a file that is open, from its beginning. */
char *conf_text_read_open(int descriptor);

#endif
