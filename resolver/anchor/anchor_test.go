package anchor

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// state is one as Unbound writes it.
const state = `; autotrust trust anchor file
;;id: example.com. 1
;;last_queried: 1258962400 ;;Mon Nov 23 08:46:40 2009
;;last_success: 1258962400 ;;Mon Nov 23 08:46:40 2009
;;next_probe_time: 1258967360 ;;Mon Nov 23 10:09:20 2009
;;query_failed: 0
;;query_interval: 5400
;;retry_time: 3600
example.com.	10800	IN	DNSKEY	257 3 5 AwEAAc3Z5DQDJpH4oPdNtC4BUQHk50XMD+dHr4r8psHmivIa83hxR5CRgCtd9sENCW9Ae8OIO19xw9t/RPaEAqQa+OE= ;{id = 55582 (ksk), size = 512b} ;;state=2 [  VALID  ] ;;count=0 ;;lastchange=1258962400 ;;Mon Nov 23 08:46:40 2009
`

// zoneKeys is a zone's set as tests make it.
type zoneKeys struct {
	t    *testing.T
	keys []*dnssec.Key
}

func newKeys(t *testing.T, n int) zoneKeys {
	z := zoneKeys{t: t}
	for range n {
		k, err := dnssec.GenerateKey(nil, dnssec.ECDSAP256SHA256, 0, dns.DNSKEYZone|dns.DNSKEYSEP)
		if err != nil {
			t.Fatal(err)
		}
		z.keys = append(z.keys, k)
	}
	return z
}

func (z zoneKeys) revoked(i int) *dnssec.Key {
	old := z.keys[i].DNSKEY()
	old.Flags |= dns.DNSKEYRevoke
	k, err := dnssec.NewKey(old, z.keys[i].Private())
	if err != nil {
		z.t.Fatal(err)
	}
	return k
}

func (z zoneKeys) anchor(i int) dns.Record {
	return dns.Record{Name: dns.Root, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 3600, Data: z.keys[i].RData()}
}

// take has p see a set of these keys, signed by those.
func (z zoneKeys) take(p *Point, at time.Time, set, by []*dnssec.Key) error {
	z.t.Helper()
	s := dnssec.RRset{Owner: dns.Root, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 172800}
	for _, k := range set {
		s.RData = append(s.RData, k.RData())
	}
	var sigs []dns.RData
	for _, k := range by {
		sig, err := dnssec.SignRRset(k, dns.Root, s, uint32(at.Unix())-60, uint32(at.Unix())+14*86400)
		if err != nil {
			z.t.Fatal(err)
		}
		sigs = append(sigs, sig.RData())
	}
	return p.Take(at, s.RData, sigs, 0)
}

// words are the states of a point's keys, in the order of z's.
func (z zoneKeys) words(p *Point) string {
	var list []string
	for _, k := range z.keys {
		word := "-"
		if entry := p.find(k.DNSKEY()); entry != nil {
			word = stateWords[entry.State]
		}
		list = append(list, word)
	}
	return strings.Join(list, " | ")
}

const day = 24 * time.Hour

// TestStates goes the ways of RFC 5011 §4.1 and §4.2.
func TestStates(t *testing.T) {
	z := newKeys(t, 3)
	a, b, c := z.keys[0], z.keys[1], z.keys[2]
	start := time.Unix(1_700_000_000, 0)
	type look struct {
		after   time.Duration
		set, by []*dnssec.Key
		want    string
		err     error
	}
	keys := func(list ...*dnssec.Key) []*dnssec.Key { return list }
	for name, looks := range map[string][]look{
		"a new key": {
			{0, keys(a), keys(a), "trusted | - | -", nil},
			{1 * day, keys(a, b), keys(a), "trusted | pending | -", nil},
			{31 * day, keys(a, b), keys(a), "trusted | pending | -", nil}, // not longer than 30 days
			{31*day + time.Hour, keys(a, b), keys(a), "trusted | trusted | -", nil},
		},
		"a new key that goes away begins anew": {
			{0, keys(a, b), keys(a), "trusted | pending | -", nil},
			{20 * day, keys(a), keys(a), "trusted | - | -", nil},
			{40 * day, keys(a, b), keys(a), "trusted | pending | -", nil},
			{60 * day, keys(a, b), keys(a), "trusted | pending | -", nil},
		},
		"one look is not enough, however long ago": {
			{0, keys(a, b), keys(a), "trusted | pending | -", nil},
			{90 * day, keys(a, b), keys(a), "trusted | trusted | -", nil},
		},
		"a pending key vouches for nothing": {
			{0, keys(a, b), keys(a), "trusted | pending | -", nil},
			{10 * day, keys(b, c), keys(b), "trusted | pending | -", ErrUntrusted},
		},
		"a missing key is trusted, and comes back": {
			{0, keys(a, b), keys(a), "trusted | pending | -", nil},
			{40 * day, keys(a, b), keys(a), "trusted | trusted | -", nil},
			{41 * day, keys(b), keys(b), "missing, trusted still | trusted | -", nil},
			{300 * day, keys(a, b), keys(a), "trusted | trusted | -", nil},
			{301 * day, keys(b), keys(b), "missing, trusted still | trusted | -", nil},
			{700 * day, keys(b), keys(b), "- | trusted | -", nil},
		},
		"revoked, and forgotten": {
			{0, keys(a, b), keys(a), "trusted | pending | -", nil},
			{40 * day, keys(a, b), keys(a), "trusted | trusted | -", nil},
			{50 * day, keys(z.revoked(0), b), keys(z.revoked(0), b), "revoked | trusted | -", nil},
			{60 * day, keys(a, b), keys(a), "revoked | trusted | -", ErrUntrusted},
			{91 * day, keys(b), keys(b), "- | trusted | -", nil},
			{92 * day, keys(a, b), keys(a), "- | trusted | -", ErrUntrusted},
		},
		"revoked by itself alone": {
			{0, keys(a, b), keys(a), "trusted | pending | -", nil},
			{40 * day, keys(a, b), keys(a), "trusted | trusted | -", nil},
			{50 * day, keys(z.revoked(0), c), keys(z.revoked(0)), "revoked | trusted | -", ErrUntrusted},
			{51 * day, keys(z.revoked(1), c), keys(b), "revoked | trusted | -", ErrUntrusted}, // not signed by the key as it is now
		},
		"a pending key is revoked": {
			{0, keys(a, b), keys(a), "trusted | pending | -", nil},
			{1 * day, keys(a, z.revoked(1)), keys(a, z.revoked(1)), "trusted | - | -", nil},
		},
		"all are revoked": {
			{0, keys(a), keys(a), "trusted | - | -", nil},
			{1 * day, keys(z.revoked(0), b), keys(z.revoked(0)), "revoked | - | -", ErrDeleted},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := New(dns.Root, []dns.Record{z.anchor(0)})
			for i, l := range looks {
				err := z.take(p, start.Add(l.after), l.set, l.by)
				if got := z.words(p); got != l.want || !errors.Is(err, l.err) {
					t.Errorf("look %d: %s (%v), expected %s (%v)", i, got, err, l.want, l.err)
				}
				again, err := Parse(p.Append(nil), "state")
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(p.Append(nil)), string(again.Append(nil))); diff != "" {
					t.Errorf("look %d, read again: %s", i, diff)
				}
			}
		})
	}
}

// TestExtend has configured anchors that are new taken, and none that was revoked.
func TestExtend(t *testing.T) {
	z := newKeys(t, 2)
	at := time.Unix(1_700_000_000, 0)
	p := New(dns.Root, []dns.Record{z.anchor(0), z.anchor(1)})
	if err := z.take(p, at, []*dnssec.Key{z.revoked(0), z.keys[1]}, []*dnssec.Key{z.revoked(0), z.keys[1]}); err != nil {
		t.Fatal(err)
	}
	ds, err := dnssec.MakeDS(dns.Root, z.keys[0].DNSKEY(), dnssec.DigestSHA384)
	if err != nil {
		t.Fatal(err)
	}
	if p.Extend([]dns.Record{z.anchor(0), z.anchor(1), {Name: dns.Root, Type: dns.TypeDS, Class: dns.ClassIN, Data: ds.RData()}}) {
		t.Errorf("a revoked key came back:\n%s", p.Append(nil))
	}
	if other := newKeys(t, 1); !p.Extend([]dns.Record{other.anchor(0)}) || len(p.Anchors()) != 2 {
		t.Errorf("a new anchor was not taken:\n%s", p.Append(nil))
	}
}

// TestParse reads what Unbound writes, and names the place of what is damaged.
func TestParse(t *testing.T) {
	p, err := Parse([]byte(state), "root.key")
	if err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(t.TempDir(), "state")
	if err := p.Store(again); err != nil {
		t.Fatal(err)
	}
	q, err := Load(again)
	if err != nil || len(q.Keys) != 1 || q.Keys[0].State != Valid || q.Interval != 90*time.Minute {
		t.Errorf("%+v %v", q, err)
	}
	for broken, place := range map[string]string{
		strings.Replace(state, "5400", "soon", 1):            "root.key:7: query_interval",
		strings.Replace(state, "state=2", "state=9", 1):      "root.key:9: state: 9, expected 0 to 5",
		strings.Replace(state, "DNSKEY\t257", "A\t1", 1):     "root.key:9: record",
		state + "other. IN DS 1 8 2 00":                      "root.key:10: ",
		";;id: . 1\n":                                        "no DS and no DNSKEY record",
		strings.Replace(state, ";;id", ";;records: 2\n;", 1): "a part is missing",
		"": "no DS and no DNSKEY record",
	} {
		if _, err := Parse([]byte(broken), "root.key"); err == nil || !strings.Contains(err.Error(), place) {
			t.Errorf("%q: %v, expected %q", broken, err, place)
		}
	}
}

func TestSignalNames(t *testing.T) {
	name, err := SignalName(dns.Root, []uint16{38696, 20326, 20326})
	if err != nil || name.String() != "_ta-4f66-9728." {
		t.Errorf("%s %v", name, err)
	}
	for text, want := range map[string]bool{
		"root-key-sentinel-is-ta-20326.": true, "Root-Key-Sentinel-Not-TA-00001.example.": true,
		"root-key-sentinel-is-ta-2032.": false, "root-key-sentinel-is-ta-99999.": false, "www.root-key-sentinel-is-ta-20326.": false,
	} {
		if _, _, ok := Sentinel(dns.MustName(text)); ok != want {
			t.Errorf("%s: %v", text, ok)
		}
	}
}

// FuzzParse has what can be read written so that it is read as the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(state))
	f.Add([]byte(". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"))
	f.Add([]byte(";;gone: 1 8 2 00\n;;records: 1\n. IN DS 1 8 2 00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text, "fuzz")
		if err != nil {
			return
		}
		once := p.Append(nil)
		q, err := Parse(once, "again")
		if err != nil {
			t.Fatalf("%v\n%s", err, once)
		}
		if twice := q.Append(nil); !bytes.Equal(once, twice) {
			t.Errorf("%s\n%s", once, twice)
		}
	})
}
