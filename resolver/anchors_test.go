package resolver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/transport"
)

// rollingRoot is a root that rolls its key-signing key: what its keys are, and who
// signs them, follows from the time.
type rollingRoot struct {
	t     *testing.T
	begun time.Time
	ksks  [3]*dnssec.Key
	zsk   *dnssec.Key
}

func newKey(t *testing.T, flags uint16) *dnssec.Key {
	t.Helper()
	k, err := dnssec.GenerateKey(nil, dnssec.ECDSAP256SHA256, 0, flags)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newRollingRoot(t *testing.T) *rollingRoot {
	r := &rollingRoot{t: t, begun: time.Now(), zsk: newKey(t, dns.DNSKEYZone)}
	for i := range r.ksks {
		r.ksks[i] = newKey(t, dns.DNSKEYZone|dns.DNSKEYSEP)
	}
	return r
}

const day = 24 * time.Hour

// signers are the keys at a time: the next key is published for 60 days before it
// signs, and the last one is revoked for 40 days. Two rollovers in 365 days.
func (r *rollingRoot) signers(now time.Time) (signs int, published []int, revoked int) {
	switch age := now.Sub(r.begun); {
	case age < 30*day:
		return 0, []int{0}, -1
	case age < 90*day:
		return 0, []int{0, 1}, -1
	case age < 100*day:
		return 1, []int{0, 1}, -1
	case age < 140*day:
		return 1, []int{1}, 0
	case age < 200*day:
		return 1, []int{1}, -1
	case age < 260*day:
		return 1, []int{1, 2}, -1
	case age < 270*day:
		return 2, []int{1, 2}, -1
	case age < 310*day:
		return 2, []int{2}, 1
	}
	return 2, []int{2}, -1
}

// dnskeys is the DNSKEY set with its signatures.
func (r *rollingRoot) dnskeys(now time.Time) (list []dns.Record) {
	signs, published, revoked := r.signers(now)
	set := dnssec.RRset{Owner: dns.Root, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 172800, RData: []dns.RData{r.zsk.RData()}}
	for _, i := range published {
		set.RData = append(set.RData, r.ksks[i].RData())
	}
	by := []*dnssec.Key{r.ksks[signs]}
	if revoked >= 0 {
		old := r.ksks[revoked].DNSKEY()
		old.Flags |= dns.DNSKEYRevoke
		set.RData = append(set.RData, old.RData())
		k, err := dnssec.NewKey(old, r.ksks[revoked].Private())
		if err != nil {
			r.t.Error(err)
		}
		by = append(by, k)
	}
	for _, d := range set.RData {
		list = append(list, dns.Record{Name: dns.Root, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: set.TTL, Data: d})
	}
	for _, k := range by {
		list = append(list, r.signature(k, set, now))
	}
	return list
}

func (r *rollingRoot) signature(k *dnssec.Key, set dnssec.RRset, now time.Time) dns.Record {
	at := uint32(now.Unix())
	sig, err := dnssec.SignRRset(k, dns.Root, set, at-3600, at+uint32(10*day/time.Second))
	if err != nil {
		r.t.Error(err)
	}
	return dns.Record{Name: set.Owner, Type: dns.TypeRRSIG, Class: dns.ClassIN, TTL: set.TTL, Data: sig.RData()}
}

// answer answers for the root: its keys, and one name with data.
func (r *rollingRoot) answer(q, _ *dns.Message, _ transport.Proto) *dns.Message {
	m := &dns.Message{ID: q.ID, Flags: dns.FlagQR | dns.FlagAA, Questions: q.Questions, EDNS: &dns.EDNS{UDPSize: 1232, DO: true}}
	now := time.Now()
	sign := func(section *[]dns.Record, rec string) {
		one := dns.MustRecord(rec)
		*section = append(*section, one, r.signature(r.zsk, dnssec.RRset{Owner: one.Name, Type: one.Type, Class: one.Class, TTL: one.TTL, RData: []dns.RData{one.Data}}, now))
	}
	switch question := q.Question(); {
	case question.Type == dns.TypeDNSKEY && question.Name.IsRoot():
		m.Answer = r.dnskeys(now)
	case question.Type == dns.TypeNS && question.Name.IsRoot():
		sign(&m.Answer, ". 3600 IN NS a.root-servers.net.")
	case question.Type == dns.TypeTXT:
		sign(&m.Answer, question.Name.String()+" 60 IN TXT \"here\"")
	default:
		sign(&m.Authority, ". 60 IN SOA a. b. 1 1 1 1 60")
		sign(&m.Authority, question.Name.String()+" 60 IN NSEC zzz. TXT RRSIG NSEC")
	}
	return m
}

func (r *rollingRoot) anchor(key int) dns.Record {
	ds, err := dnssec.MakeDS(dns.Root, r.ksks[key].DNSKEY(), dnssec.DigestSHA256)
	if err != nil {
		r.t.Fatal(err)
	}
	return dns.Record{Name: dns.Root, Type: dns.TypeDS, Class: dns.ClassIN, TTL: 3600, Data: ds.RData()}
}

// TestRootRollover has a root roll its key twice in a year. A resolver that began
// with the first key's DS answers securely every day, restarts included; one with
// static anchors does not.
func TestRootRollover(t *testing.T) {
	dir := t.TempDir()
	inWorld(t, Config{}, "", func(t *testing.T, w *world) {
		root := newRollingRoot(t)
		w.Serve("192.0.2.1").Hook = root.answer
		cfg := w.r.cfg
		cfg.Anchors = []dns.Record{root.anchor(0)}
		static, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer static.Close()
		cfg.AnchorFiles = []string{filepath.Join(dir, "root.anchor")}
		follower, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		states := map[string]bool{}
		lost := 0
		for at := range 365 {
			time.Sleep(day)
			if at%50 == 49 { // a restart
				if err := follower.Close(); err != nil {
					t.Fatal(err)
				}
				if follower, err = New(cfg); err != nil {
					t.Fatal(err)
				}
			}
			q := dns.Question{Name: dns.MustName(fmt.Sprintf("day%d.", at)), Type: dns.TypeTXT, Class: dns.ClassIN}
			if res, err := follower.Resolve(t.Context(), q, Options{}); err != nil || !res.IsSecure {
				t.Fatalf("day %d: %s %v %v, expected a secure answer\n%s", at, res.RCode, res.EDE, err, anchorText(t, cfg.AnchorFiles[0]))
			}
			if res, _ := static.Resolve(t.Context(), q, Options{}); !res.IsSecure {
				lost++
			}
			for _, s := range []string{"ADDPEND", "VALID", "REVOKED"} {
				states[s] = states[s] || strings.Contains(anchorText(t, cfg.AnchorFiles[0]), s)
			}
		}
		follower.Close()
		if len(states) != 3 || !states["ADDPEND"] || !states["REVOKED"] {
			t.Errorf("states seen: %v", states)
		}
		if lost < 100 {
			t.Errorf("with static anchors %d days were lost, expected many", lost)
		}
		if text := anchorText(t, cfg.AnchorFiles[0]); !strings.Contains(text, fmt.Sprintf("id = %d ", root.ksks[2].Tag())) || strings.Count(text, "gone:") != 2 {
			t.Errorf("at the end:\n%s", text)
		}
	})
}

func anchorText(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDamagedAnchorFile has a state that is not whole refused with its place, and
// left as it is.
func TestDamagedAnchorFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "root.anchor")
	const text = "; autotrust trust anchor file\n;;id: . 1\n;;records: 2\n. 86400 IN DS 20326 8 2 E06D44B8\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(Config{AnchorFiles: []string{file}})
	if err == nil || !strings.Contains(err.Error(), "a part is missing") {
		t.Errorf("%v", err)
	}
	if got := anchorText(t, file); got != text {
		t.Errorf("the file was changed:\n%s", got)
	}
}

// TestAnchorsAreOnDiskFirst has a state that cannot be written not acted on.
func TestAnchorsAreOnDiskFirst(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	inWorld(t, Config{}, "", func(t *testing.T, w *world) {
		root := newRollingRoot(t)
		root.begun = time.Now().Add(-95 * day)
		w.Serve("192.0.2.1").Hook = root.answer
		cfg := w.r.cfg
		cfg.Anchors = []dns.Record{root.anchor(1)}
		cfg.AnchorFiles = []string{filepath.Join(dir, "root.anchor")}
		r, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		time.Sleep(2 * time.Hour)
		if p := r.point(r.keeper.points[0]); len(p.Keys) != 0 || p.Failed == 0 {
			t.Errorf("%d keys, %d failures: a state that is nowhere was acted on", len(p.Keys), p.Failed)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if p := r.point(r.keeper.points[0]); len(p.Keys) != 2 || p.Failed != 0 {
			t.Errorf("%d keys, %d failures after the directory came", len(p.Keys), p.Failed)
		}
	})
}

// TestSentinel asks both questions of RFC 8509 about keys that are trusted and not.
func TestSentinel(t *testing.T) {
	inWorld(t, Config{}, "", func(t *testing.T, w *world) {
		root := newRollingRoot(t)
		w.Serve("192.0.2.1").Hook = func(q, a *dns.Message, p transport.Proto) *dns.Message {
			return root.answer(q, a, p)
		}
		w.r.Trust([]dns.Record{root.anchor(0)})
		for _, c := range []struct {
			label string
			tag   uint16
			want  dns.RCode
		}{
			{"is-ta", root.ksks[0].Tag(), dns.RCodeNoError}, {"not-ta", root.ksks[0].Tag(), dns.RCodeServFail},
			{"is-ta", 1, dns.RCodeServFail}, {"not-ta", 1, dns.RCodeNoError},
		} {
			name := fmt.Sprintf("root-key-sentinel-%s-%05d.", c.label, c.tag)
			if m := w.ask(query(name, dns.TypeA, 1232, true)); m.RCode != c.want {
				t.Errorf("%s: %s, expected %s", name, text(m), c.want)
			}
			cd := query(name, dns.TypeA, 1232, true)
			cd.Flags |= dns.FlagCD
			if m := w.ask(cd); m.RCode != dns.RCodeNoError {
				t.Errorf("%s with CD: %s", name, text(m))
			}
		}
	})
}
