package dnssec

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"onoma/dns"
)

var (
	signer = dns.MustName("host.example.")
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func signers(t testing.TB) map[uint8]crypto.Signer {
	t.Helper()
	p256, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, err2 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, ed, err3 := ed25519.GenerateKey(rand.Reader)
	r, err4 := rsa.GenerateKey(rand.Reader, 2048)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	return map[uint8]crypto.Signer{ECDSAP256SHA256: p256, ECDSAP384SHA384: p384, ED25519: ed, RSASHA256: r, RSASHA512: r}
}

func keyOf(t testing.TB, algorithm uint8, s crypto.Signer) dns.DNSKEY {
	t.Helper()
	public, err := PublicKey(s.Public())
	if err != nil {
		t.Fatal(err)
	}
	return dns.DNSKEY{Flags: 512, Protocol: 3, Algorithm: algorithm, PublicKey: public}
}

func request(t testing.TB) []byte {
	t.Helper()
	msg, err := dns.NewUpdate(77, dns.MustName("example.")).DeleteName(dns.MustName("www.example.")).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// read finds the SIG(0) as a server does.
func read(t testing.TB, msg []byte) *SIG0 {
	t.Helper()
	var q dns.Query
	if err := q.Parse(msg); err != nil {
		t.Fatal(err)
	}
	s, err := ReadSIG0(msg, q.SIG0At)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What is signed here is good here and for miekg/dns, and the other way round.
func TestSIG0(t *testing.T) {
	for algorithm, private := range signers(t) {
		key := keyOf(t, algorithm, private)
		msg, err := SignSIG0(request(t), signer, key, private, noon)
		if err != nil {
			t.Fatal(err)
		}
		if err := read(t, msg).Verify(msg, key.RData(), noon); err != nil {
			t.Errorf("algorithm %d: %v", algorithm, err)
		}
		// It knows no other clock than the system's.
		again, err := SignSIG0(request(t), signer, key, private, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		var parsed miekg.Msg
		if err := parsed.Unpack(again); err != nil {
			t.Fatal(err)
		}
		theirs := &miekg.KEY{DNSKEY: miekg.DNSKEY{
			Hdr:   miekg.RR_Header{Name: signer.String(), Rrtype: miekg.TypeKEY, Class: miekg.ClassINET},
			Flags: key.Flags, Protocol: 3, Algorithm: algorithm, PublicKey: base64.StdEncoding.EncodeToString(key.PublicKey),
		}}
		if err := parsed.Extra[len(parsed.Extra)-1].(*miekg.SIG).Verify(theirs, again); err != nil {
			t.Errorf("algorithm %d: miekg/dns: %v", algorithm, err)
		}
		var m miekg.Msg
		m.SetUpdate("example.")
		own := &miekg.SIG{}
		own.KeyTag, own.SignerName, own.Algorithm = key.KeyTag(), signer.String(), algorithm
		own.Inception, own.Expiration = uint32(noon.Unix()-10), uint32(noon.Unix()+10)
		wire, err := own.Sign(private, &m)
		if err != nil {
			t.Fatal(err)
		}
		if err := read(t, wire).Verify(wire, key.RData(), noon); err != nil {
			t.Errorf("algorithm %d: signed by miekg/dns: %v", algorithm, err)
		}
	}
}

// A bit that is changed anywhere makes the signature wrong, or the message another.
func TestSIG0Tampered(t *testing.T) {
	private := signers(t)[ECDSAP256SHA256]
	key := keyOf(t, ECDSAP256SHA256, private)
	good, err := SignSIG0(request(t), signer, key, private, noon)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		msg := append([]byte(nil), good...)
		msg[i] ^= 0x20
		var q dns.Query
		if q.Parse(msg) != nil || q.SIG0At == 0 {
			continue
		}
		s, err := ReadSIG0(msg, q.SIG0At)
		if err != nil {
			continue
		}
		// The owner's case apart, which is none: it is the root.
		if s.Verify(msg, key.RData(), noon) == nil && i < q.SIG0At {
			t.Errorf("octet %d is another one, and the signature is good", i)
		}
	}
}

func TestSIG0Refused(t *testing.T) {
	all := signers(t)
	private := all[ED25519]
	key := keyOf(t, ED25519, private)
	msg, err := SignSIG0(request(t), signer, key, private, noon)
	if err != nil {
		t.Fatal(err)
	}
	s := read(t, msg)
	change := func(f func(k *dns.DNSKEY)) dns.RData {
		k := key
		f(&k)
		return k.RData()
	}
	for what, c := range map[string]struct {
		key  dns.RData
		at   time.Time
		want error
	}{
		"good":          {key.RData(), noon, nil},
		"too early":     {key.RData(), noon.Add(-time.Hour), ErrTime},
		"too late":      {key.RData(), noon.Add(time.Hour), ErrTime},
		"another key":   {keyOf(t, ECDSAP256SHA256, all[ECDSAP256SHA256]).RData(), noon, ErrKey},
		"a zone's key":  {change(func(k *dns.DNSKEY) { k.Flags = 256 }), noon, ErrKey},
		"no protocol":   {change(func(k *dns.DNSKEY) { k.Protocol = 1 }), noon, ErrKey},
		"not for this":  {change(func(k *dns.DNSKEY) { k.Flags = 1 << 15 }), noon, ErrKey},
		"no key at all": {dns.RData{}, noon, ErrKey},
	} {
		if err := s.Verify(msg, c.key, c.at); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, expected %v", what, err, c.want)
		}
	}
}

// Keys of every length and content are refused without a panic.
func FuzzVerify(f *testing.F) {
	for algorithm, s := range signers(f) {
		key := keyOf(f, algorithm, s)
		sig, err := Sign(algorithm, s, []byte("data"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(algorithm, key.PublicKey, sig)
	}
	f.Add(uint8(RSASHA256), []byte{1, 0, 0}, []byte{0})
	f.Add(uint8(RSASHA256), binary.BigEndian.AppendUint32([]byte{0, 0, 3}, 1<<31), []byte{0})
	f.Fuzz(func(t *testing.T, algorithm uint8, key, signature []byte) {
		if Verify(algorithm, key, []byte("other data"), signature) == nil {
			t.Errorf("algorithm %d, key %x: signature %x of something else is good", algorithm, key, signature)
		}
	})
}
