/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is needed to read the XML of qstat: elements without attributes, whose text has
 * no elements in it. Markup in texts is escaped, so that a '<' always is markup.
 */
#ifndef GE_XML_H
#define GE_XML_H

#include <stdbool.h>
#include <stddef.h>

struct err;

/* The text of the only <NAME> between `from` and `to`, as it stands there, as a copy;
 * NULL when there is none or more than one. */
char *ge_xml_element(const char *from, const char *to, const char *name);

/* Whether `xml` is one whole document: begins as XML does and ends with </NAME>. */
bool ge_xml_is_whole(const char *xml, const char *name);

/* Replaces references (&amp; and the like) in place. ERR_CORRUPT: one that cannot be
 * read; "%lt;" too, which is how Son of Grid Engine 8.1.9 writes a '<': that cannot be
 * told from a text that has these letters. */
int ge_xml_decode(char *text, struct err *e);

#endif
