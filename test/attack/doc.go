// Package attack is the attack lab: every published attack on resolvers that docs/attacks.md lists is carried out against a
// running `onoma resolver`, over loopback, by a small hostile internet in this process.
//
// A world is that internet: a root, an honest signed zone good., and what a test adds: zones that are served honestly or by a
// handler that may say anything, late, twice or from somewhere else (see server). A test measures what one question of a
// client costs, as the servers and the kernel count it: messages and octets that the resolver sends and receives, processor
// time, memory. It states its ceiling with the reason, and the honest zone is asked all the while: nobody else may notice
// the attack. Processor time is stated as a multiple of what an honest question costs in the same world that is looked up,
// so that a loaded machine makes no difference.
//
// `make attack` writes the table of docs/attacks.md. What needs root or addresses that are not there is skipped by name.
//
// Concurrency: worlds are independent and tests run in parallel; a server's handler runs in many goroutines at once.
package attack
