package dns

import (
	"bytes"
	"crypto/hmac"
	"encoding/binary"
	"fmt"
	"hash"
	"time"
)

// TSIGError is a failed check of a transaction signature, or a failure that
// the peer reports.
type TSIGError struct {
	RCode RCode // of the answer: FORMERR or NOTAUTH
	Code  RCode // in the answer's TSIG: BADSIG, BADKEY, BADTIME, BADTRUNC
	What  string
	// ServerTime is the peer's clock where it reports BADTIME.
	ServerTime time.Time

	tsig tsigRecord
	key  TSIGKey
}

func (e *TSIGError) Error() string {
	if e.RCode == RCodeFormErr {
		return "tsig: FORMERR: " + e.What
	}
	return "tsig: " + codeName(e.Code) + ": " + e.What
}

// codeName is RCode.String for a TSIG's error field, where 16 is BADSIG.
func codeName(c RCode) string { return string(appendMnemonic(nil, errorCode, uint16(c))) }

func tsigFormErr(err error) *TSIGError { return &TSIGError{RCode: RCodeFormErr, What: err.Error()} }

func (t *tsigRecord) fails(code RCode, what string) *TSIGError {
	e := &TSIGError{RCode: RCodeNotAuth, Code: code, What: what, tsig: *t}
	e.tsig.mac, e.tsig.other = bytes.Clone(t.mac), bytes.Clone(t.other) // msg is the caller's
	return e
}

// VerifiedTSIG is the outcome of a good signature.
type VerifiedTSIG struct {
	Len int     // the length of the message without its TSIG
	Key TSIGKey // who signed
	MAC []byte  // what the answer's signature covers first

	h hash.Hash // keyed with Key: to make it takes as long as to use it
}

// Sign appends a TSIG to msg, the one answer to the request. It belongs to one
// goroutine at a time.
func (v *VerifiedTSIG) Sign(msg []byte, now time.Time) ([]byte, error) {
	t := tsigRecord{time: seconds(now)}
	v.h.Reset()
	signed, _, err := t.signWith(v.h, msg, v.Key, v.MAC)
	return signed, err
}

// SignTSIG appends a TSIG to the finished message msg and returns the message
// and the MAC. requestMAC is that of the request which msg answers, nil where
// msg is a request (RFC 8945 §5.1, §5.3).
func SignTSIG(msg []byte, key TSIGKey, now time.Time, requestMAC []byte) (signed, mac []byte, err error) {
	t := tsigRecord{time: seconds(now)}
	return t.sign(msg, key, requestMAC)
}

// sign fills in t for msg, with its time, error and other data already there.
func (t *tsigRecord) sign(msg []byte, key TSIGKey, requestMAC []byte) (signed, mac []byte, err error) {
	h, err := key.mac()
	if err != nil {
		return msg, nil, err
	}
	return t.signWith(h, msg, key, requestMAC)
}

// signWith is sign with key's hash.
func (t *tsigRecord) signWith(h hash.Hash, msg []byte, key TSIGKey, requestMAC []byte) (signed, mac []byte, err error) {
	if len(msg) < HeaderLen {
		return msg, nil, ErrTruncated
	}
	t.name, t.algo, t.fudge, t.origID = key.Name, key.Algorithm, TSIGFudge, binary.BigEndian.Uint16(msg)
	writePrior(h, requestMAC)
	h.Write(msg)
	h.Write(t.variables(false))
	t.mac = h.Sum(nil)
	signed, err = t.attach(msg)
	return signed, t.mac, err
}

// VerifyTSIG checks the TSIG of a request and takes it off: msg[:v.Len] is the
// message without it, its count of records corrected; its ID stays that of the
// wire. A message without TSIG gives ErrNoTSIG; a bad one gives a *TSIGError
// and leaves msg as it was.
func VerifyTSIG(msg []byte, keys Keyring, now time.Time) (v VerifiedTSIG, err error) {
	t, found, err := findTSIG(msg)
	switch {
	case err != nil:
		return v, tsigFormErr(err)
	case !found:
		return v, ErrNoTSIG
	}
	key, ok := keys(t.name)
	h, bad := key.mac()
	if !ok || bad != nil || !key.Algorithm.Equal(t.algo) { // RFC 8945 §5.2.1
		return v, t.fails(RCodeBadKey, fmt.Sprintf("no key %s with algorithm %s here", t.name, t.algo))
	}
	t.writeStripped(h, msg)
	h.Write(t.variables(false))
	if err := t.check(h, key, now); err != nil {
		return v, err
	}
	return VerifiedTSIG{Len: t.strip(msg), Key: key, MAC: bytes.Clone(t.mac), h: h}, nil
}

// check compares the MAC and then the time, in that order: nothing of a
// message is believed before its MAC is (RFC 8945 §5.2).
func (t *tsigRecord) check(h hash.Hash, key TSIGKey, now time.Time) error {
	full := h.Size()
	if n := len(t.mac); n > full || n < max(10, full/2) { // RFC 8945 §5.2.2.1
		return tsigFormErr(fmt.Errorf("MAC of %d octets", n))
	}
	if !hmac.Equal(t.mac, h.Sum(nil)[:len(t.mac)]) {
		return t.fails(RCodeBadSig, "the MAC is wrong: another secret, or the message was changed")
	}
	var e *TSIGError
	switch clock := seconds(now); {
	case max(clock, t.time)-min(clock, t.time) > uint64(t.fudge): // RFC 8945 §5.2.3
		e = t.fails(RCodeBadTime, fmt.Sprintf("signed at %d, it is %d here", t.time, clock))
	case len(t.mac) < full: // our policy, RFC 8945 §5.2.4
		e = t.fails(RCodeBadTrunc, "truncated MAC")
	default:
		return nil
	}
	e.key = key
	return e
}

// Sign ends resp, the answer to the message that failed, as RFC 8945 §5.3.2
// has it: BADTIME and BADTRUNC with a signature, BADKEY and BADSIG with a TSIG
// without one, FORMERR without any. resp must have e.RCode.
func (e *TSIGError) Sign(resp []byte, now time.Time) ([]byte, error) {
	t := tsigRecord{time: seconds(now), err: e.Code}
	switch e.Code {
	case RCodeBadTime:
		// The client's own time, so that it finds the answer in time (§5.2.3).
		t.time, t.other = e.tsig.time, appendTime48(nil, seconds(now))
		fallthrough
	case RCodeBadTrunc:
		signed, _, err := t.sign(resp, e.key, e.tsig.mac)
		return signed, err
	case RCodeBadKey, RCodeBadSig:
		t.name, t.algo, t.time, t.fudge = e.tsig.name, e.tsig.algo, e.tsig.time, e.tsig.fudge
		t.origID = binary.BigEndian.Uint16(resp)
		return t.attach(resp)
	}
	return resp, nil
}

// TSIGStream signs, or checks, the messages that answer one signed request: a
// single answer, or the many of a zone transfer (RFC 8945 §5.3.1). It belongs
// to one goroutine.
type TSIGStream struct {
	key      TSIGKey
	h        hash.Hash // over the MAC before and the unsigned messages since
	mac      []byte
	started  bool
	unsigned int
}

// NewTSIGStream begins the answer to a request that was signed with key and
// has the MAC requestMAC.
func NewTSIGStream(key TSIGKey, requestMAC []byte) (*TSIGStream, error) {
	h, err := key.mac()
	if err != nil {
		return nil, err
	}
	s := &TSIGStream{key: key, h: h}
	s.restart(requestMAC)
	return s, nil
}

func (s *TSIGStream) restart(mac []byte) {
	s.mac = bytes.Clone(mac)
	s.h.Reset()
	writePrior(s.h, s.mac)
	s.unsigned = 0
}

// Sign appends a TSIG to the next message of the stream.
func (s *TSIGStream) Sign(msg []byte, now time.Time) ([]byte, error) {
	if len(msg) < HeaderLen {
		return msg, ErrTruncated
	}
	t := tsigRecord{
		name: s.key.Name, algo: s.key.Algorithm, time: seconds(now), fudge: TSIGFudge,
		origID: binary.BigEndian.Uint16(msg),
	}
	s.h.Write(msg)
	s.h.Write(t.variables(s.started))
	t.mac = s.h.Sum(nil)
	signed, err := t.attach(msg)
	if err != nil {
		return msg, err
	}
	s.started = true
	s.restart(t.mac)
	return signed, nil
}

// Verify checks the next message of the stream, takes its TSIG off and returns
// how long it is without it. Messages behind the first may have no TSIG, up to
// 99 in a row: they count only once Complete says so.
func (s *TSIGStream) Verify(msg []byte, now time.Time) (n int, err error) {
	t, found, err := findTSIG(msg)
	if err != nil {
		return 0, tsigFormErr(err)
	}
	if !found {
		if !s.started || s.unsigned == maxUnsigned {
			return 0, ErrTSIGUnsigned
		}
		s.unsigned++
		s.h.Write(msg)
		return len(msg), nil
	}
	if !s.key.Name.Equal(t.name) || !s.key.Algorithm.Equal(t.algo) {
		return 0, t.fails(RCodeBadKey, "signed with another key than the request")
	}
	if len(t.mac) == 0 && (t.err == RCodeBadKey || t.err == RCodeBadSig) {
		// Not authenticated: anybody could have sent it; the caller had better wait for another answer (RFC 8945 §5.3.2).
		return 0, t.fails(t.err, "the peer says so, without a signature")
	}
	t.writeStripped(s.h, msg)
	s.h.Write(t.variables(s.started))
	if err := t.check(s.h, s.key, now); err != nil {
		if s.unsigned == 0 { // over UDP the true answer may still come
			s.restart(s.mac)
		}
		return 0, err
	}
	if t.err != RCodeNoError {
		return 0, t.reported()
	}
	s.started = true
	s.restart(t.mac)
	return t.strip(msg), nil
}

// reported is the error that the peer has put into its signed answer.
func (t *tsigRecord) reported() *TSIGError {
	e := t.fails(t.err, "the peer says so")
	if t.err == RCodeBadTime && len(t.other) == 6 {
		e.ServerTime = time.Unix(int64(time48(t.other)), 0).UTC()
		e.What = fmt.Sprintf("the peer says so, its clock is at %d", time48(t.other))
	}
	return e
}

// Complete reports whether all messages so far are covered by a signature; it
// must hold at the end of the stream.
func (s *TSIGStream) Complete() error {
	if !s.started || s.unsigned > 0 {
		return ErrTSIGUnsigned
	}
	return nil
}
