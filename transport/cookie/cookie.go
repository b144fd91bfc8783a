// Package cookie makes and checks the server's part of DNS cookies (RFC 7873),
// in the one form that servers of all makers share (RFC 9018): whoever has the
// same secret takes each other's cookies, which anycast needs.
//
// A client that returns the cookie it was given has shown that it receives
// what is sent to its address. A Jar holds the secrets; any number of
// goroutines may use it, no call allocates, and Set swaps the secrets under them.
package cookie

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"time"

	"onoma/dns"
)

const (
	// Size is the length of the option's data with both cookies in it.
	Size = clientSize + serverSize

	clientSize = 8  // RFC 7873 §4
	serverSize = 16 // RFC 9018 §4: version, 3 reserved, time, 8 of hash

	version = 1
)

// The life of a server cookie in seconds (RFC 9018 §4.3).
const (
	maxAge    = 3600 // older ones prove nothing
	renewAge  = 1800 // older ones are replaced
	maxFuture = 300  // clocks of one anycast group may differ by this
)

// Verdict is what the cookies of a query are worth.
type Verdict uint8

// In the order of RFC 7873 §5.2.1-5.
const (
	None      Verdict = iota // no COOKIE option
	Malformed                // of a length that no cookies have: FORMERR
	Client                   // the client's cookie alone
	Bad                      // with a server cookie that is not ours, or too old
	Renew                    // proves the address; time for a new one
	Good                     // proves the address
)

// Proves reports whether the client has shown that the address is its own.
func (v Verdict) Proves() bool { return v >= Renew }

// Jar makes and checks cookies. It must be made by NewJar.
type Jar struct{ secrets atomic.Pointer[Secrets] }

// NewJar returns a Jar with these secrets.
func NewJar(s Secrets) *Jar {
	j := new(Jar)
	j.Set(s)
	return j
}

// Set replaces the secrets.
func (j *Jar) Set(s Secrets) { j.secrets.Store(&s) }

// Roll makes up a new secret, for who shares none with other servers; cookies
// of the last one stay good. RFC 7873 §7.1 wants it at least every 36 days.
func (j *Jar) Roll() {
	s, last := RandomSecrets(), j.secrets.Load()
	s.keys[1], s.n = last.keys[0], 2
	j.secrets.Store(&s)
}

// Check judges data, the data of the query's first COOKIE option (RFC 7873 §5.2:
// of several only the first counts), sent from client at now, in Unix seconds.
func (j *Jar) Check(data []byte, client netip.Addr, now uint32) Verdict {
	switch n := len(data); {
	case n == clientSize:
		return Client
	case n < clientSize+8 || n > clientSize+32:
		return Malformed // RFC 7873 §5.2.2
	case n != Size || data[clientSize] != version:
		return Bad // somebody else's form (RFC 9018 §4)
	}
	made := binary.BigEndian.Uint32(data[12:])
	age := int32(now - made) // RFC 9018 §4.3: serial number arithmetic
	if age > maxAge || age < -maxFuture {
		return Bad
	}
	s := j.secrets.Load()
	hash := binary.LittleEndian.Uint64(data[16:])
	var buf [hashed]byte
	input := hashInput(&buf, data[:16], client)
	switch {
	case s.keys[0].sum(input) == hash && age <= renewAge:
		return Good
	case s.keys[0].sum(input) == hash:
		return Renew
	case s.n > 1 && s.keys[1].sum(input) == hash:
		// RFC 9018 §5: the secret before or after the active one, with which
		// other servers of the group make cookies while it is being rolled.
		return Renew
	}
	return Bad
}

// Append appends to dst the data of the response's COOKIE option: the cookie of
// the client, which are the first 8 octets of the query's, and a new one of ours.
func (j *Jar) Append(dst, query []byte, client netip.Addr, now uint32) []byte {
	start := len(dst)
	dst = append(dst, query[:clientSize]...)
	dst = append(dst, version, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, now)
	var buf [hashed]byte
	key := &j.secrets.Load().keys[0]
	return binary.LittleEndian.AppendUint64(dst, key.sum(hashInput(&buf, dst[start:], client)))
}

const hashed = 16 + 16

// hashInput is what RFC 9018 §4.4 hashes: all of the cookies before the hash,
// the reserved octets as they came, and the client's address.
func hashInput(buf *[hashed]byte, cookies []byte, client netip.Addr) []byte {
	in := append(buf[:0], cookies[:16]...)
	if client = client.Unmap(); client.Is4() {
		a := client.As4()
		return append(in, a[:]...)
	}
	a := client.As16()
	return append(in, a[:]...)
}

// Valid reports whether msg is a query with a server cookie of ours, for those
// who must know before anybody parses it: it looks only where clients put the
// OPT record, first in the additional section. now is in Unix nanoseconds.
func (j *Jar) Valid(msg []byte, client netip.Addr, now int64) bool {
	data := find(msg)
	return len(data) == Size && j.Check(data, client, Seconds(now)).Proves()
}

// find returns the data of the first COOKIE option of a query, nil where there
// is none within the first few options.
func find(msg []byte) []byte {
	h, ok := dns.ParseHeader(msg)
	if !ok || h.Flags.Has(dns.FlagQR) || h.Questions > 1 || h.Answers|h.Authority != 0 || h.Additional == 0 {
		return nil
	}
	off := dns.HeaderLen
	if h.Questions == 1 {
		end, err := dns.SkipName(msg, off)
		if err != nil {
			return nil
		}
		off = end + 4
	}
	const head = 11 // of an OPT record: the root's name, type, class, TTL, length
	if off+head > len(msg) || msg[off] != 0 || dns.Type(binary.BigEndian.Uint16(msg[off+1:])) != dns.TypeOPT {
		return nil
	}
	rest := msg[off+head:]
	if n := int(binary.BigEndian.Uint16(msg[off+9:])); n <= len(rest) {
		return findOption(rest[:n])
	}
	return nil
}

func findOption(opts []byte) []byte {
	const most = 16
	for i := 0; i < most && len(opts) >= 4; i++ {
		n := int(binary.BigEndian.Uint16(opts[2:]))
		if n > len(opts)-4 {
			return nil
		}
		if dns.OptionCode(binary.BigEndian.Uint16(opts)) == dns.OptionCookie {
			return opts[4 : 4+n]
		}
		opts = opts[4+n:]
	}
	return nil
}

// Seconds is a time in Unix nanoseconds as cookies have it; 0 asks the clock.
func Seconds(now int64) uint32 {
	if now == 0 {
		now = time.Now().UnixNano()
	}
	return uint32(now / int64(time.Second))
}
