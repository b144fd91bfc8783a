package dnssec

import (
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"onoma/dns"
)

// Errors of transaction signatures by public keys.
var (
	ErrNoSIG0  = errors.New("message has no SIG(0)")
	ErrBadSIG0 = errors.New("malformed SIG(0)")
	ErrTime    = errors.New("signature is not valid now")
)

// SIG0 is the signature of a message by a public key (RFC 2931): a SIG record that
// covers no type and is the last one of the additional section.
type SIG0 struct {
	Algorithm             uint8
	KeyTag                uint16
	Inception, Expiration uint32 // seconds since 1970, in serial number arithmetic
	Signer                dns.Name

	at        int    // where the record begins
	signed    []byte // its rdata before the signature
	signature []byte
}

// The parts of a SIG record's rdata (RFC 2535 §4.1).
const sigFixed = 18

// ReadSIG0 reads the SIG(0) that begins at msg[at:], as dns.Query's SIG0At says;
// 0 is none.
func ReadSIG0(msg []byte, at int) (*SIG0, error) {
	if at == 0 {
		return nil, ErrNoSIG0
	}
	records := dns.ReadRecords(msg, at)
	rec, err := records.Next()
	if err != nil {
		return nil, fmt.Errorf("reading SIG(0): %w", err)
	}
	be := binary.BigEndian
	if rec.Type != dns.TypeSIG || len(rec.Data) < sigFixed || be.Uint16(rec.Data) != 0 || records.Offset() != len(msg) {
		return nil, ErrBadSIG0
	}
	n, err := dns.WireNameLen(rec.Data[sigFixed:])
	if err != nil {
		return nil, fmt.Errorf("reading SIG(0): %w", err)
	}
	end := sigFixed + n
	signer, _ := dns.NameFromWire(rec.Data[sigFixed:end]) // just measured
	return &SIG0{
		Algorithm: rec.Data[2], Expiration: be.Uint32(rec.Data[8:]), Inception: be.Uint32(rec.Data[12:]),
		KeyTag: be.Uint16(rec.Data[16:]), Signer: signer,
		at: at, signed: rec.Data[:end], signature: rec.Data[end:],
	}, nil
}

// IsBy reports whether the signature may be of that key, by the key's tag and
// algorithm, and the key may sign messages.
func (s *SIG0) IsBy(key dns.RData) bool {
	k, err := dns.ParseDNSKEY(key)
	return err == nil && k.Algorithm == s.Algorithm && k.KeyTag() == s.KeyTag && mayAuthenticate(k)
}

// mayAuthenticate: RFC 2535 §3.1.2: bit 0 of the flags prohibits it, and §3.1.3:
// the protocol is DNSSEC or all. RFC 2931 §2.4 has keys of zones sign no messages.
func mayAuthenticate(k dns.DNSKEY) bool {
	const noAuthentication, dnssecProtocol, allProtocols = 1 << 15, 3, 255
	return k.Flags&noAuthentication == 0 && !k.IsZoneKey() && (k.Protocol == dnssecProtocol || k.Protocol == allProtocols)
}

// IsTimely reports whether now is in the time for which the signature was made.
func (s *SIG0) IsTimely(now time.Time) bool {
	t := uint32(now.Unix())
	return int32(t-s.Inception) >= 0 && int32(s.Expiration-t) >= 0
}

// Verify checks the signature of the request msg, from which s was read, by rdata
// of a KEY record.
func (s *SIG0) Verify(msg []byte, key dns.RData, now time.Time) error {
	switch {
	case !s.IsTimely(now):
		return ErrTime
	case !s.IsBy(key):
		return ErrKey
	case !CanSign(s.Algorithm): // nobody has made these yet: SHA-1 need not begin (RFC 9905)
		return fmt.Errorf("%w: %d", ErrAlgorithm, s.Algorithm)
	}
	k, _ := dns.ParseDNSKEY(key) // IsBy has read it
	return Verify(s.Algorithm, k.PublicKey, covered(s.signed, msg[:s.at], -1), s.signature)
}

// covered is what a SIG(0) signs (RFC 2931 §3.1): its own rdata without the
// signature, and the message without the record; its count of additional records is
// changed by so many.
func covered(signed, msg []byte, change int) []byte {
	out := append(make([]byte, 0, len(signed)+len(msg)), signed...)
	out = append(out, msg...)
	count := out[len(signed)+10:]
	be := binary.BigEndian
	be.PutUint16(count, uint16(int(be.Uint16(count))+change))
	return out
}

// SignSIG0 appends a SIG(0) to the request msg, by the private key of the KEY
// record that signer has. It is valid for as long as clocks may differ.
func SignSIG0(msg []byte, signer dns.Name, key dns.DNSKEY, private crypto.Signer, now time.Time) ([]byte, error) {
	if len(msg) < dns.HeaderLen {
		return msg, dns.ErrTruncated
	}
	const skew = dns.TSIGFudge
	be := binary.BigEndian
	signed := []byte{0, 0, key.Algorithm, 0, 0, 0, 0, 0}
	signed = be.AppendUint32(signed, uint32(now.Unix()+skew))
	signed = be.AppendUint32(signed, uint32(now.Unix()-skew))
	signed = be.AppendUint16(signed, key.KeyTag())
	signed = signer.Append(signed)
	signature, err := Sign(key.Algorithm, private, covered(signed, msg, 0))
	if err != nil {
		return msg, err
	}
	n := len(msg)
	out := append(msg, 0)
	out = be.AppendUint16(out, uint16(dns.TypeSIG))
	out = be.AppendUint16(out, uint16(dns.ClassANY))
	out = be.AppendUint32(out, 0)
	out = be.AppendUint16(out, uint16(len(signed)+len(signature)))
	out = append(append(out, signed...), signature...)
	if len(out) > dns.MaxMessageLen || be.Uint16(out[10:]) == 0xFFFF {
		return out[:n], dns.ErrMessageTooLong
	}
	be.PutUint16(out[10:], be.Uint16(out[10:])+1)
	return out, nil
}
