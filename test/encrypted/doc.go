// Package encrypted asks one server over every transport: the answers have to be the same, and clients that others wrote (kdig,
// dig, curl, Unbound, Chromium) have to be content with them as they are.
package encrypted
