/* Reads configuration files so that libconfuse counts their lines correctly. */
#ifndef CONF_TEXT_H
#define CONF_TEXT_H

/*
 * Returns the whole file as a string, which the caller frees. Blanks replace every comment (#, //,
 * or between slash-star and star-slash), and every newline is kept, because libconfuse 3.3 counts a
 * comment as three lines. libconfuse does not read the file itself, also because it ends the
 * program if the file is a directory. NULL with errno: EISDIR for a directory, EFBIG above 16 MiB,
 * EINVAL if the file contains a zero byte.
 */
char *conf_text_read(const char *file);
/* The same for an open file, which is read from its beginning. */
char *conf_text_read_open(int descriptor);

#endif
