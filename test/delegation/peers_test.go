package delegation

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/delegation"
	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/test/peers"
	"onoma/zone"
)

// own is a policy under which the child's first DS comes at once.
func own(scan time.Duration) delegation.Policy {
	return delegation.Policy{
		DS: true, Scan: scan, MinInterval: 100 * time.Millisecond, Delete: true, TTL: 1,
		Bootstrap: delegation.Bootstrap{Own: []dns.Name{dns.MustName("ns1.child.tld."), dns.MustName("ns2.child.tld.")}},
	}
}

// TestKnotRollsItsKSK: Knot is signed, gets its first DS, sees it at the parent, rolls its key, and gets the next one: by
// nothing but scans. At every moment the parent's DS is of a key that signs Knot's keys.
func TestKnotRollsItsKSK(t *testing.T) {
	t.Parallel()
	peers.Need(t, peers.Knot.Binary)
	addr := peers.Knot.Addr(t)
	h := newParent(t, own(time.Second), "", nil, addr)
	s := peers.SigningKnot(t, zoneFile(t, ""), addr, h.addr)
	h.await("the first DS", func() bool { return len(h.ds()) == 1 })
	first := h.ds()
	h.await("Knot sees it", func() bool { return strings.Contains(s.Log(), "KSK submission, confirmed") })
	peers.RollKSK(t, s, "child.tld.")
	h.await("the next DS", func() bool {
		for _, text := range h.ds() {
			if err := vouches(t, text, fetch(t, addr, child, dns.TypeDNSKEY)); err != "" {
				t.Fatal(err)
			}
		}
		return !slices.Equal(h.ds(), first)
	})
	h.await("Knot sees the next one, too", func() bool { return strings.Count(s.Log(), "KSK submission, confirmed") == 2 })
	h.await("the old key is gone", func() bool { return countKeys(fetch(t, addr, child, dns.TypeDNSKEY), 257) == 1 })
	if err := vouches(t, h.ds()[0], fetch(t, addr, child, dns.TypeDNSKEY)); err != "" || len(h.ds()) != 1 {
		t.Errorf("%v: %s", h.ds(), err)
	}
}

func countKeys(list []dns.Record, flags uint16) (n int) {
	for _, r := range list {
		if k, err := dns.ParseDNSKEY(r.Data); r.Type == dns.TypeDNSKEY && err == nil && k.Flags == flags {
			n++
		}
	}
	return n
}

// vouches says what is wrong with a DS as the way into a DNSKEY set; empty: nothing is.
func vouches(t *testing.T, text string, answer []dns.Record) string {
	t.Helper()
	data, err := dns.ParseRDataString(dns.TypeDS, text, dns.Root)
	if err != nil {
		t.Fatal(err)
	}
	ds, err := dns.ParseDS(data)
	if err != nil {
		t.Fatal(err)
	}
	set := dnssec.RRset{Owner: child, Type: dns.TypeDNSKEY, Class: dns.ClassIN}
	for _, r := range answer {
		if r.Type == dns.TypeDNSKEY {
			set.RData = append(set.RData, r.Data)
		}
	}
	for _, r := range answer {
		sig, err := dns.ParseRRSIG(r.Data)
		if r.Type != dns.TypeRRSIG || err != nil {
			continue
		}
		for _, data := range set.RData {
			k, err := dns.ParseDNSKEY(data)
			if err == nil && dnssec.MatchDS(child, k, ds) && dnssec.VerifyRRset(set, &sig, k, time.Now()) == nil {
				return ""
			}
		}
	}
	return "the DS " + text + " is of no key that signs the DNSKEY set"
}

// TestBINDByNotify: BIND's CDS becomes DS by a NOTIFY, in well under a second.
func TestBINDByNotify(t *testing.T) {
	t.Parallel()
	peers.Need(t, peers.BIND.Binary)
	addr := peers.BIND.Addr(t)
	h := newParent(t, own(0), "", nil, addr)
	peers.SigningBIND(t, zoneFile(t, ""), addr)
	h.await("CDS", func() bool { return has(fetch(t, addr, child, dns.TypeCDS), dns.TypeCDS) })
	began := time.Now()
	if rcode := h.notify(dns.TypeCDS); rcode != dns.RCodeNoError {
		t.Fatalf("NOTIFY(CDS) is answered %s", rcode)
	}
	for len(h.ds()) == 0 && time.Since(began) < 5*time.Second {
		time.Sleep(time.Millisecond)
	}
	took := time.Since(began)
	t.Logf("from NOTIFY(CDS) to the DS: %v", took)
	if took > time.Second {
		t.Errorf("from NOTIFY(CDS) to the DS: %v; %+v", took, h.desk.State(zone.IDOf("", tld), child).Last)
	}
	if rcode := h.notify(dns.TypeCSYNC); rcode != dns.RCodeRefused {
		t.Errorf("NOTIFY(CSYNC), which the policy does not take, is answered %s", rcode)
	}
}

// TestServersOfTwoKinds: while Knot and BIND sign the same child with keys that do not know of each other, nothing is taken.
func TestServersOfTwoKinds(t *testing.T) {
	t.Parallel()
	peers.Need(t, peers.Knot.Binary)
	peers.Need(t, peers.BIND.Binary)
	one, two := peers.Knot.Addr(t), peers.BIND.Addr(t)
	h := newParent(t, own(0), "", nil, one, two)
	peers.SigningKnot(t, zoneFile(t, ""), one, h.addr)
	peers.SigningBIND(t, zoneFile(t, ""), two)
	for _, addr := range []struct {
		is func() bool
	}{{func() bool { return has(fetch(t, one, child, dns.TypeCDS), dns.TypeCDS) }}, {func() bool { return has(fetch(t, two, child, dns.TypeCDS), dns.TypeCDS) }}} {
		h.await("CDS", addr.is)
	}
	r, err := h.desk.Look(t.Context(), zone.IDOf("", tld), child, false)
	if err != nil || r.DS.Verdict != delegation.Waits || !strings.Contains(r.DS.Why, "CDS differs between") || len(h.ds()) > 0 {
		t.Errorf("%+v, %v", r.DS, err)
	}
}

// TestDNSSECCDS: BIND's dnssec-cds comes to the same DS set from the same records, and refuses what we refuse.
func TestDNSSECCDS(t *testing.T) {
	t.Parallel()
	judge, err := exec.LookPath("dnssec-cds")
	if err != nil {
		t.Skip("dnssec-cds (bind9-utils) is not installed")
	}
	peers.Need(t, peers.Knot.Binary)
	addr := peers.Knot.Addr(t)
	h := newParent(t, own(0), "", nil, addr)
	s := peers.SigningKnot(t, zoneFile(t, ""), addr, h.addr)
	h.await("CDS", func() bool { return has(fetch(t, addr, child, dns.TypeCDS), dns.TypeCDS) })
	h.look(delegation.Changed)
	h.await("Knot sees it", func() bool { return strings.Contains(s.Log(), "KSK submission, confirmed") })
	first := h.ds()
	peers.RollKSK(t, s, "child.tld.")
	h.await("CDS of the next key", func() bool {
		list := fetch(t, addr, child, dns.TypeCDS)
		return has(list, dns.TypeCDS) && !slices.Contains(first, string(dns.AppendRDataText(nil, dns.TypeDS, list[0].Data)))
	})
	var records []dns.Record
	for _, typ := range []dns.Type{dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY} {
		records = append(records, fetch(t, addr, child, typ)...)
	}
	h.look(delegation.Changed)
	if diff := cmp.Diff(h.ds(), judged(t, judge, first, records)); diff != "" {
		t.Errorf("-ours +dnssec-cds: %s", diff)
	}
	// Of what is damaged both leave the DS set as it is.
	for i := range records {
		if records[i].Type == dns.TypeRRSIG && dns.SigCovers(records[i].Data) != dns.TypeDNSKEY {
			records[i].Data[len(records[i].Data)-1] ^= 1
		}
	}
	if got := judged(t, judge, first, records); got != nil {
		t.Errorf("dnssec-cds takes a damaged set: %v", got)
	}
}

func (h *parent) look(want delegation.Verdict) {
	h.t.Helper()
	r, err := h.desk.Look(h.t.Context(), zone.IDOf("", tld), child, false)
	if err != nil || r.DS.Verdict != want {
		h.t.Fatalf("%+v, %v", r.DS, err)
	}
}

// judged returns the DS set that dnssec-cds makes of records, nil where it refuses.
func judged(t *testing.T, judge string, ds []string, records []dns.Record) []string {
	t.Helper()
	dir := t.TempDir()
	var set, file bytes.Buffer
	for _, text := range ds {
		set.WriteString("child.tld. 1 IN DS " + text + "\n")
	}
	for _, r := range records {
		file.WriteString(r.String() + "\n")
	}
	for name, b := range map[string][]byte{"dsset-child.tld.": set.Bytes(), "child.records": file.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// -s: signatures made since then count; else those from before the file.
	cmd := exec.Command(judge, "-s", "-7200", "-a", "SHA-256", "-d", filepath.Join(dir, "dsset-child.tld."), "-f", filepath.Join(dir, "child.records"), "child.tld")
	out, err := cmd.Output()
	if err != nil {
		return nil
	}
	var got []string
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if i := slices.Index(fields, "DS"); i >= 0 {
			got = append(got, strings.Join(fields[i+1:i+4], " ")+" "+strings.Join(fields[i+4:], ""))
		}
	}
	return got
}
