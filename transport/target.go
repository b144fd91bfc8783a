package transport

import "net/netip"

// Target is whom a question is sent to, and how.
type Target struct {
	Addr  netip.AddrPort
	Proto Proto
	Name  string // as whom the server must prove itself over TLS, QUIC and HTTPS; "": as nobody (opportunistic, RFC 7858 §4.1), or not encrypted
	Path  string // of the URL over HTTPS
	HTTP3 bool   // over HTTPS: version 3, by QUIC
}
