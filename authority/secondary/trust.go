package secondary

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
)

// Trust says which server is a primary, where it is asked by TLS or QUIC (RFC 9103
// §7.3 and §9.3). The zero Trust is opportunistic: whoever answers is believed, and
// only those who listen without taking part are kept out. With Name, Roots or Pins
// it is strict. With a certificate of our own the primary can tell us, too: mutual.
type Trust struct {
	Name  string         // in the primary's certificate; empty: its address, where Roots are given
	Roots *x509.CertPool // who may sign the certificate; nil with Name: the system's
	// Pins are SHA-256 hashes of public keys (RFC 7858 §4.2): the primary must have
	// one of them. Without Name and Roots nothing else of its certificate counts.
	Pins        [][sha256.Size]byte
	Certificate *tls.Certificate // our own; nil: none
}

var errPin = errors.New("the primary's public key is none of those that are pinned")

// Config returns what [Primary].TLS takes. Zones with the same Trust should share
// the result, so that they share connections.
func (t Trust) Config() *tls.Config {
	c := &tls.Config{ServerName: t.Name, RootCAs: t.Roots, MinVersion: tls.VersionTLS13, ClientSessionCache: tls.NewLRUClientSessionCache(0)}
	c.InsecureSkipVerify = t.Name == "" && t.Roots == nil
	if t.Certificate != nil {
		c.Certificates = []tls.Certificate{*t.Certificate}
	}
	if len(t.Pins) > 0 {
		pins := slices.Clone(t.Pins)
		c.VerifyConnection = func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || !slices.Contains(pins, PinOf(s.PeerCertificates[0])) {
				return errPin
			}
			return nil
		}
	}
	return c
}

// PinOf returns what Trust.Pins has of a certificate.
func PinOf(c *x509.Certificate) [sha256.Size]byte { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// ParsePin reads a pin in Base64, as in RFC 7858 §4.2.
func ParsePin(s string) (pin [sha256.Size]byte, err error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != len(pin) {
		return pin, fmt.Errorf("pin %q: expected a SHA-256 hash in Base64, 44 characters", s)
	}
	return [sha256.Size]byte(b), nil
}
