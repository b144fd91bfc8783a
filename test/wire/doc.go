// Package wire gives tests a wire of their own: a veth pair between two network namespaces, one for a server, one for its
// client, as if they were two machines. It needs root and Debian's iproute2; where they are missing it skips the test by name.
package wire
