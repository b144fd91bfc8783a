package keyfile

import (
	"crypto"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// What is read must be the same after it was written and read again.
func FuzzPrivate(f *testing.F) {
	for _, a := range algorithms {
		text, err := AppendPrivate(nil, &Private{Algorithm: a, Signer: newKey(f, a, 256).Private(), Times: fullMeta().Times, Predecessor: 1, Successor: 2})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParsePrivate("k", text)
		if err != nil {
			return
		}
		written, err := AppendPrivate(nil, p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParsePrivate("k", written)
		if err != nil {
			t.Fatalf("%v in\n%s", err, written)
		}
		p.Times, again.Times = p.settle(), again.settle()
		if !p.Signer.(interface {
			Equal(x crypto.PrivateKey) bool
		}).Equal(again.Signer) {
			t.Error("another key")
		}
		p.Signer, again.Signer = nil, nil
		if diff := cmp.Diff(p, again); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzPublic(f *testing.F) {
	m := fullMeta()
	f.Add(AppendPublic(nil, &Public{Name: dns.MustName("example."), Key: newKey(f, dnssec.ED25519, 257).DNSKEY(), Meta: m}))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParsePublic("k", text)
		if err != nil {
			return
		}
		again, err := ParsePublic("k", AppendPublic(nil, p))
		if err != nil {
			t.Fatalf("%v in\n%s", err, AppendPublic(nil, p))
		}
		p.Times = p.settle()
		if diff := cmp.Diff(p, again, cmp.Comparer(dns.Name.Equal)); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzState(f *testing.F) {
	m := fullMeta()
	public := &Public{Name: dns.MustName("example."), Key: newKey(f, dnssec.ED25519, 257).DNSKEY()}
	f.Add(AppendState(nil, public, &m))
	f.Fuzz(func(t *testing.T, text []byte) {
		var m, again Meta
		if ParseState("k", text, &m) != nil {
			return
		}
		if err := ParseState("k", AppendState(nil, public, &m), &again); err != nil {
			t.Fatal(err)
		}
		m.Times = m.settle()
		if diff := cmp.Diff(m, again); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzPEM(f *testing.F) {
	for _, a := range algorithms {
		text, err := AppendPEM(nil, newKey(f, a, 256).Private())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParsePEM("k", text)
		if err != nil {
			return
		}
		written, err := AppendPEM(nil, s)
		if err != nil {
			return // RSA of more than two primes
		}
		again, err := ParsePEM("k", written)
		if err != nil {
			t.Fatal(err)
		}
		a, err1 := dnssec.PublicKey(s.Public())
		b, err2 := dnssec.PublicKey(again.Public())
		if err1 != nil || err2 != nil || string(a) != string(b) {
			t.Errorf("another key: %v, %v", err1, err2)
		}
	})
}
