package authority

import (
	"errors"
	"sync/atomic"
	"time"

	"onoma/dns"
)

// Keys are the TSIG keys that a Server knows (RFC 8945). They are replaced all
// at once; what is under way goes on with those that it began with. The zero
// Keys, and a nil one, are none. It may be used by any number of goroutines.
type Keys struct {
	current atomic.Pointer[map[dns.Name]dns.TSIGKey] // by folded name
}

// Set makes keys the ones that are known. Of two of one name the last counts.
func (k *Keys) Set(keys []dns.TSIGKey) {
	m := make(map[dns.Name]dns.TSIGKey, len(keys))
	for _, key := range keys {
		m[key.Name.Fold()] = key
	}
	k.current.Store(&m)
}

// Find returns the key of that name, in whatever case. It is a [dns.Keyring].
func (k *Keys) Find(name dns.Name) (dns.TSIGKey, bool) {
	if k == nil {
		return dns.TSIGKey{}, false
	}
	m := k.current.Load()
	if m == nil {
		return dns.TSIGKey{}, false
	}
	key, ok := (*m)[name.Fold()]
	return key, ok
}

// signature is that of the query. A query without one leaves it zero.
type signature struct {
	bad  *dns.TSIGError    // it is no good
	good *dns.VerifiedTSIG // it is, and the answer gets one
	room int               // octets that the answer's takes
}

// verify checks the signature of the query. RFC 8945 §5.2 has that done before
// anything else is; a query that cannot be read at all has come to its end before.
func (w *worker) verify(msg []byte) {
	v, err := dns.VerifyTSIG(append([]byte(nil), msg...), w.srv.keys.Find, w.clock())
	if err == nil {
		w.sig.good, w.sig.room = &v, tsigRoom(v.Key)
		return
	}
	if !errors.As(err, &w.sig.bad) {
		w.sig.bad = &dns.TSIGError{RCode: dns.RCodeFormErr, What: err.Error()}
	}
}

// tsigRoom is how many octets the TSIG of a message signed with key takes at most.
func tsigRoom(key dns.TSIGKey) int {
	const fixed, maxMAC = 10 + 16, 64
	return key.Name.Len() + key.Algorithm.Len() + fixed + maxMAC
}

// signedBy returns the name of the key that the query was signed with, the zero
// Name where it was not.
func (w *worker) signedBy() dns.Name {
	if w.sig.good == nil {
		return dns.Name{}
	}
	return w.sig.good.Key.Name
}

// sign ends the answer to a query that was signed, well or not (RFC 8945 §5.3).
func (w *worker) sign(out []byte, start int) []byte {
	msg := out[start:len(out):len(out)]
	var signed []byte
	var err error
	if bad := w.sig.bad; bad != nil {
		if signed, err = bad.Sign(msg, w.clock()); len(signed) > w.limit() {
			return out
		}
	} else {
		signed, err = w.sig.good.Sign(msg, w.clock())
	}
	if err != nil {
		return out
	}
	return append(out[:start], signed...)
}

// clock is the time of the query.
func (w *worker) clock() time.Time { return time.Unix(0, w.now()) }
