package dns

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"strings"
	"time"
)

// The algorithms of transaction signatures (RFC 8945 §6). HMAC-MD5 is known by
// name to say so, and never used: "MUST NOT be used".
var (
	HMACSHA1   = Name{"\x09hmac-sha1\x00"}
	HMACSHA224 = Name{"\x0bhmac-sha224\x00"}
	HMACSHA256 = Name{"\x0bhmac-sha256\x00"}
	HMACSHA384 = Name{"\x0bhmac-sha384\x00"}
	HMACSHA512 = Name{"\x0bhmac-sha512\x00"}
	HMACMD5    = Name{"\x08hmac-md5\x07sig-alg\x03reg\x03int\x00"}
)

const (
	// TSIGFudge is how many seconds clocks may differ (RFC 8945 §10).
	TSIGFudge = 300
	// maxUnsigned is how many messages of a stream in a row may have no TSIG
	// (RFC 8945 §5.3.1).
	maxUnsigned = 99
)

// Errors of transaction signatures that concern no peer.
var (
	ErrNoTSIG       = errors.New("message has no TSIG")
	ErrTSIGUnsigned = errors.New("message of a signed transaction has no TSIG")
	ErrTSIGKey      = errors.New("unusable TSIG key")
)

// TSIGKey is a secret that two servers share.
type TSIGKey struct {
	Name      Name
	Algorithm Name // one of HMACSHA1 to HMACSHA512
	Secret    []byte
}

// Keyring finds a key by its name, in whatever case.
type Keyring func(name Name) (TSIGKey, bool)

// Keys returns a Keyring of a few keys.
func Keys(keys ...TSIGKey) Keyring {
	return func(name Name) (TSIGKey, bool) {
		for _, k := range keys {
			if k.Name.Equal(name) {
				return k, true
			}
		}
		return TSIGKey{}, false
	}
}

// ParseTSIGAlgorithm reads the name of an algorithm as people write it, such as
// hmac-sha256.
func ParseTSIGAlgorithm(s string) (Name, error) {
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	for _, a := range []Name{HMACSHA1, HMACSHA224, HMACSHA256, HMACSHA384, HMACSHA512} {
		if s+"." == a.String() {
			return a, nil
		}
	}
	if s == "hmac-md5" || s+"." == HMACMD5.String() {
		return Name{}, fmt.Errorf("%w: %s must not be used (RFC 8945 §6), take hmac-sha256", ErrTSIGKey, s)
	}
	return Name{}, fmt.Errorf("%w: algorithm %q, expected hmac-sha1, -sha224, -sha256, -sha384 or -sha512", ErrTSIGKey, s)
}

// mac returns the keyed hash of k.
func (k TSIGKey) mac() (hash.Hash, error) {
	var f func() hash.Hash
	switch k.Algorithm.Fold() {
	case HMACSHA1:
		f = sha1.New
	case HMACSHA224:
		f = sha256.New224
	case HMACSHA256:
		f = sha256.New
	case HMACSHA384:
		f = sha512.New384
	case HMACSHA512:
		f = sha512.New
	default:
		return nil, fmt.Errorf("%w %s: algorithm %s", ErrTSIGKey, k.Name, k.Algorithm)
	}
	if len(k.Secret) == 0 {
		return nil, fmt.Errorf("%w %s: no secret", ErrTSIGKey, k.Name)
	}
	return hmac.New(f, k.Secret), nil
}

// Check reports whether k can sign.
func (k TSIGKey) Check() error {
	if k.Name.IsZero() {
		return fmt.Errorf("%w: no name", ErrTSIGKey)
	}
	_, err := k.mac()
	return err
}

// tsigRecord is a TSIG record taken apart (RFC 8945 §4.2).
type tsigRecord struct {
	start  int // of the record in its message
	name   Name
	algo   Name
	time   uint64 // 48 bits of seconds since 1970
	fudge  uint16
	mac    []byte
	origID uint16
	err    RCode
	other  []byte
}

// append appends the record to dst.
func (t *tsigRecord) append(dst []byte) []byte {
	be := binary.BigEndian
	dst = t.name.Append(dst)
	dst = be.AppendUint16(dst, uint16(TypeTSIG))
	dst = be.AppendUint16(dst, uint16(ClassANY))
	dst = be.AppendUint32(dst, 0)
	dst = be.AppendUint16(dst, uint16(t.algo.Len()+16+len(t.mac)+len(t.other)))
	dst = t.algo.Append(dst)
	dst = appendTime48(dst, t.time)
	dst = be.AppendUint16(dst, t.fudge)
	dst = append(be.AppendUint16(dst, uint16(len(t.mac))), t.mac...)
	dst = be.AppendUint16(dst, t.origID)
	dst = be.AppendUint16(dst, uint16(t.err))
	return append(be.AppendUint16(dst, uint16(len(t.other))), t.other...)
}

func appendTime48(dst []byte, v uint64) []byte {
	be := binary.BigEndian
	return be.AppendUint32(be.AppendUint16(dst, uint16(v>>32)), uint32(v))
}

func time48(b []byte) uint64 {
	return uint64(binary.BigEndian.Uint16(b))<<32 | uint64(binary.BigEndian.Uint32(b[2:]))
}

// variables returns what a MAC covers besides the message (RFC 8945 §4.3.3), or
// the timers alone (§5.3.1).
func (t *tsigRecord) variables(timersOnly bool) []byte {
	be := binary.BigEndian
	var b []byte
	if !timersOnly {
		b = t.name.Fold().Append(b)
		b = be.AppendUint16(b, uint16(ClassANY))
		b = be.AppendUint32(b, 0)
		b = t.algo.Fold().Append(b)
	}
	b = be.AppendUint16(appendTime48(b, t.time), t.fudge)
	if timersOnly {
		return b
	}
	b = be.AppendUint16(b, uint16(t.err))
	return append(be.AppendUint16(b, uint16(len(t.other))), t.other...)
}

// writePrior adds the MAC that came before: of the request, or of the message
// before in a stream (RFC 8945 §5.3).
func writePrior(h hash.Hash, mac []byte) {
	if mac != nil {
		h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(mac))))
		h.Write(mac)
	}
}

// findTSIG finds the TSIG of msg. RFC 8945 §5.2: it is the last record of the
// additional section and there is but one; anything else is a FORMERR.
func findTSIG(msg []byte) (t tsigRecord, found bool, err error) {
	h, ok := ParseHeader(msg)
	if !ok {
		return t, false, ErrTruncated
	}
	off := HeaderLen
	for range int(h.Questions) {
		if off, err = SkipName(msg, off); err != nil {
			return t, false, err
		}
		off += 4
	}
	records := int(h.Answers) + int(h.Authority) + int(h.Additional)
	for i := 1; i <= records; i++ {
		start := off
		if off, err = SkipName(msg, off); err != nil {
			return t, false, err
		}
		if len(msg)-off < 10 {
			return t, false, ErrTruncated
		}
		be := binary.BigEndian
		typ, class, ttl := Type(be.Uint16(msg[off:])), Class(be.Uint16(msg[off+2:])), be.Uint32(msg[off+4:])
		n := int(be.Uint16(msg[off+8:]))
		if off += 10; len(msg)-off < n {
			return t, false, ErrTruncated
		}
		if typ == TypeTSIG {
			if i != records || h.Additional == 0 || class != ClassANY || ttl != 0 {
				return t, false, errTSIGPlace
			}
			err = t.parse(msg, start, off, n)
			found = true
		}
		off += n
	}
	if err == nil && off != len(msg) {
		err = ErrTruncated
		if off < len(msg) {
			err = ErrTrailing
		}
	}
	return t, found, err
}

var errTSIGPlace = errors.New("TSIG that is not the last record, or not of class ANY and TTL 0")

// parse reads the record that starts at msg[start:] with n octets of rdata at
// msg[off:].
func (t *tsigRecord) parse(msg []byte, start, off, n int) error {
	var buf [MaxNameLen]byte
	name, _, err := UnpackName(buf[:0], msg, start)
	if err != nil {
		return err
	}
	if err := CheckRData(TypeTSIG, msg[off:off+n]); err != nil {
		return err
	}
	b := msg[off : off+n]
	w, err := wireNameLen(b)
	if err != nil {
		return err
	}
	be := binary.BigEndian
	t.start, t.name, t.algo, b = start, Name{string(name)}, Name{string(b[:w])}, b[w:]
	t.time, t.fudge, b = time48(b), be.Uint16(b[6:]), b[8:]
	w = int(be.Uint16(b))
	t.mac, b = b[2:2+w], b[2+w:]
	t.origID, t.err, t.other = be.Uint16(b), RCode(be.Uint16(b[2:])), b[6:]
	return nil
}

// writeStripped adds msg as it was before t was appended to it: with the
// original ID, and one record less (RFC 8945 §4.3.2).
func (t *tsigRecord) writeStripped(h hash.Hash, msg []byte) {
	var head [HeaderLen]byte
	copy(head[:], msg)
	be := binary.BigEndian
	be.PutUint16(head[:], t.origID)
	be.PutUint16(head[10:], be.Uint16(head[10:])-1)
	h.Write(head[:])
	h.Write(msg[HeaderLen:t.start])
}

// strip takes the TSIG off msg and returns how long the message is without it.
func (t *tsigRecord) strip(msg []byte) int {
	be := binary.BigEndian
	be.PutUint16(msg[10:], be.Uint16(msg[10:])-1)
	return t.start
}

// attach appends t to msg, which has no TSIG.
func (t *tsigRecord) attach(msg []byte) ([]byte, error) {
	be := binary.BigEndian
	if len(msg) < HeaderLen || be.Uint16(msg[10:]) == 0xFFFF {
		return msg, ErrTruncated
	}
	n := len(msg)
	out := t.append(msg)
	if len(out) > MaxMessageLen {
		return out[:n], ErrMessageTooLong
	}
	be.PutUint16(out[10:], be.Uint16(out[10:])+1)
	return out, nil
}

func seconds(now time.Time) uint64 { return uint64(now.Unix()) & (1<<48 - 1) }
