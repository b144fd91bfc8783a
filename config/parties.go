package config

import (
	"net/netip"

	"onoma/dns"
)

// Key is a TSIG key. Its secret is in the file, elsewhere, or in a file of keys.
type Key struct {
	// Name is the key's, which both sides have to call it.
	Name dns.Name `yaml:"name,key"`
	// Algorithm is the key's; a file of keys says its own.
	Algorithm string `yaml:"algorithm" default:"hmac-sha256" oneof:"hmac-sha1|hmac-sha224|hmac-sha256|hmac-sha384|hmac-sha512"`
	// Secret is the secret in Base64, or env:NAME for that of an environment variable.
	Secret Secret `yaml:"secret"`
	// File is a file that has the key: NAME ALGORITHM SECRET on a line, or what tsig-keygen writes.
	File string `yaml:"file" path:"file"`

	// At is where the key stands in the file.
	At Pos `yaml:"-"`
}

// Remote is another server.
type Remote struct {
	// Name is what zones call it.
	Name string `yaml:"name,key"`
	// Address is where it listens, one address after the other to be tried: ADDR or ADDR:PORT.
	Address []netip.AddrPort `yaml:"address" port:"optional"`
	// Key signs what is sent to it, and what it answers.
	Key dns.Name `yaml:"key" ref:"key"`
	// Transport is how zones are transferred from it; whether it is told of new versions over UDP (and by TCP where that fails) follows from it.
	Transport Transport `yaml:"transport" default:"tcp" oneof:"tcp|tls|quic"`
	// NotifyPort is the UDP port of NOTIFY; without it that of the address, and 53 where the transport is tls or quic.
	NotifyPort int `yaml:"notify-port" default:"0" range:"0..65535"`
	// TLS says how much of its certificate has to be right, where the transport is tls or quic.
	TLS RemoteTLS `yaml:"tls"`
}

// NotifyAddress is where a NOTIFY goes that is meant for the server at an address of r.
func (r *Remote) NotifyAddress(a netip.AddrPort) netip.AddrPort {
	switch {
	case r.NotifyPort != 0:
		return netip.AddrPortFrom(a.Addr(), uint16(r.NotifyPort))
	case r.Transport != TransportTCP:
		return netip.AddrPortFrom(a.Addr(), portDNS)
	}
	return a
}

// Transport is how another server is spoken to.
type Transport string

// The transports.
const (
	TransportTCP  Transport = "tcp"
	TransportTLS  Transport = "tls"
	TransportQUIC Transport = "quic"
)

// RemoteTLS is the profile of RFC 9103 §9 that another server is spoken to with.
type RemoteTLS struct {
	// Mode is opportunistic (any certificate), strict (the certificate is checked by name, ca or pin), or mutual (so it is, and we show one, too).
	Mode TLSMode `yaml:"mode" default:"strict" oneof:"opportunistic|strict|mutual"`
	// Name is the name that its certificate has to have; its address without it, where ca is given.
	Name string `yaml:"name"`
	// CA is a file of whom to trust (PEM); whom the system trusts without it.
	CA string `yaml:"ca" path:"file"`
	// Pin are SHA-256 hashes of public keys in Base64 (RFC 7858 §4.2); its certificate has to have one of them, and nothing else of it counts without name and ca.
	Pin []string `yaml:"pin"`
	// Cert is the certificate that we show (PEM, with its chain).
	Cert string `yaml:"cert" path:"file"`
	// Key is its private key.
	Key string `yaml:"key" path:"file"`
}

// TLSMode is how much a peer's certificate matters.
type TLSMode string

// The modes.
const (
	TLSOpportunistic TLSMode = "opportunistic"
	TLSStrict        TLSMode = "strict"
	TLSMutual        TLSMode = "mutual"
)

// Servers is a list of other servers. They point to those of [Config.Servers],
// or to unnamed ones of which only an address was given.
type Servers []*Remote

// Who is a client by its address, by the key that it signs with, by the name in
// the certificate that it shows, or by several of these: then all must match.
type Who struct {
	Prefix netip.Prefix // the zero Prefix: any address
	Key    dns.Name     // the zero Name: signed or not
	TLS    string       // in lower case; "": with or without a certificate
}

// Access is a list of clients, with all other lists that it names put in their
// places. Nobody is in an empty one.
type Access []Who

// AccessList is an Access with a name.
type AccessList struct {
	// Name is what others call it.
	Name string `yaml:"name,key"`
	// Who is on it.
	Who Access `yaml:"who,value"`
}

// Rule is one of a zone's rules for UPDATE, as it was written.
type Rule struct {
	Text string
	At   Pos
}

// Equal reports whether both say the same, wherever they stand.
func (r Rule) Equal(o Rule) bool { return r.Text == o.Text }
