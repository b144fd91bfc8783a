// Package zonefile reads and writes master files: the text form of zones
// (RFC 1035 §5) with $TTL (RFC 2308 §4), records of unknown type and class
// (RFC 3597 §5) and BIND's $GENERATE.
//
// A [Reader] streams: it holds one entry at a time, never the file, and hands
// out records in wire form. What it cannot read it reports as an [*Error] with
// file, line and column, and goes on with the next entry, so that one pass finds
// every mistake. [Write] and [WriteLines] print records, for people and for
// diff, so that they read back as the same records.
//
// A Reader belongs to one goroutine; with [Reader.ReadInto] it has others help it
// with a large file, to the same effect. It opens files only for $INCLUDE and never
// outside of one directory; its work and memory are bounded whatever the text.
//
// What the RFCs leave open is decided so:
//   - A quoted string may span lines (RFC 1035 §5.1, "text literals can contain
//     CRLF within the text"). A closing quote is followed by a blank, a line's
//     end, a parenthesis, a comment or, on one line, the next string; so a
//     forgotten quote is found where the next string opens, and reported where it
//     stands.
//   - Parentheses do not nest. One that is never closed is reported where it
//     opens, and reading goes on at the next line with something in column one.
//   - A line ends with LF or CR LF; a CR alone is an error, since programs
//     disagree on it. So are other control characters, except in comments.
//     Octets above 127 are taken as they are.
//   - What stands in column one is the owner, also when it looks like a TTL, a
//     class or a type; after a blank the owner is the one before.
//   - A missing TTL is that of $TTL, else of the record before (RFC 1035 §5.1),
//     else, for the SOA and what follows it, the SOA's minimum (RFC 1035
//     §3.3.13). Without any of them it is an error.
//   - $TTL of an included file stays in force behind it (RFC 2308 §4 says "all
//     records after the directive"); $ORIGIN and the owner do not (RFC 1035 §5.1).
//   - The right side of $GENERATE is one quoted text that is cut into words after
//     the numbers are put in, as BIND has it, or plain words to the line's end. It
//     states no owner: an entry without one behind it belongs to the owner before.
package zonefile
