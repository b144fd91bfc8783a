package interop

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/miekg/dns"

	"onoma/test/model"
	"onoma/test/peers"
)

// TestRootZone serves the whole signed root zone by onoma and its peers, and compares every delegation, its DS, and
// the names just beside it.
func TestRootZone(t *testing.T) {
	file := rootZone(t)
	records := parseZone(t, ".", file)
	questions := rootQuestions(t, records)
	zones := peers.Zones{{Name: ".", File: file}}
	servers := startAll(t, zones, peers.NSD, peers.Knot, peers.BIND)
	t.Logf("%d questions, %d servers", len(questions), len(servers))
	c := newComparison(rootDifferences, model.New(map[string][]dns.RR{".": records}))
	c.run(t, servers, questions)
	c.report(t, servers)
}

// rootZone finds the zone beside the checkout, or unpacks the copy that the project ships.
func rootZone(t *testing.T) string {
	t.Helper()
	if file, ok := peers.Shared("data", "root-2020-signed.zone"); ok {
		return file
	}
	packed, err := os.Open(filepath.Join(peers.ModuleRoot(), "lab", "data", "root.zone.gz"))
	if err != nil {
		t.Skipf("no root zone here: neither the shared one nor the project's own copy: %v", err)
	}
	defer packed.Close()
	text, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "root.zone"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := io.Copy(file, text); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

// minTLDs is what the root of 2020 has, less some.
const minTLDs = 1400

func rootQuestions(t *testing.T, records []dns.RR) []question {
	t.Helper()
	tlds := make(map[string]bool)
	for _, rr := range records {
		if name := rr.Header().Name; rr.Header().Rrtype == dns.TypeNS && name != "." {
			tlds[name] = true
		}
	}
	if len(tlds) < minTLDs {
		t.Fatalf("the root zone has %d delegations, expected %d at least", len(tlds), minTLDs)
	}
	var list []question
	add := func(name string, types ...uint16) {
		for _, typ := range types {
			list = append(list, question{"root", name, typ, edns}, question{"root", name, typ, do}, question{"root", name, typ, plain})
		}
	}
	add(".", dns.TypeSOA, dns.TypeNS, dns.TypeDNSKEY, dns.TypeNSEC, dns.TypeA, dns.TypeDS)
	for tld := range tlds {
		add(tld, dns.TypeNS, dns.TypeDS, dns.TypeSOA, dns.TypeNSEC)
		add("www.example."+tld, dns.TypeA)
		label := tld[:len(tld)-1]
		if len(label) < 60 {
			add(label+"-a.", dns.TypeA, dns.TypeDS)
		}
		add("x."+label+`\000.`, dns.TypeMX)
	}
	return list
}
