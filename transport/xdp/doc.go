// Package xdp serves DNS over UDP from AF_XDP sockets: a small program in the network driver's receive path picks the queries
// out of the stream of packets and puts them, frame and all, into memory that a loop of ours reads, answers and hands back.
// Everything else, TCP and fragments among it, goes to the kernel as if the program were not there.
//
// The package owns the program (program_linux.go, built here, instruction by instruction), the rings (ring_linux.go), the
// headers of Ethernet, VLAN, IP and UDP (frame.go, no I/O), and a transport.Server on the same addresses for what the kernel
// is passed. Where the system has no AF_XDP, or grants no right to it, that server alone answers and a warning says so.
//
// Concurrency: one goroutine a receive queue, tied to a thread, owns the queue's socket, its frames, its Worker and its
// counters. Nothing on the way of a query is allocated, locked or shared. Detached answers go out by the kernel's sockets.
//
// RFCs: 768 and 1071 (checksums), 791, 8200 §8.1 (IPv6's UDP checksum), 9715 (no fragments), 6891 §7 (OPT when truncating).
package xdp
