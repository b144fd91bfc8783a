package interop

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"

	"onoma/authority"
	"onoma/dns"
	"onoma/test/model"
	"onoma/transport"
	"onoma/zone"
)

// randomOrigin is the zone that is made anew from each seed; every third has a child zone beside it.
const (
	randomOrigin = "random.test."
	randomChild  = "a.random.test."
)

var randomLabels = []string{"a", "b", "c", "*"}

// TestRandomZones compares onoma with the model, in this process, on zones that no person would write.
func TestRandomZones(t *testing.T) {
	const seeds, enough = 400, 100
	served := 0
	for seed := range uint64(seeds) {
		if checkRandomZone(t, seed) {
			served++
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d of %d random zones could be served", served, seeds)
	if served < enough {
		t.Errorf("only %d of %d random zones could be served, expected %d", served, seeds, enough)
	}
}

func FuzzRandomZone(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { checkRandomZone(t, seed) })
}

// checkRandomZone asks about every name that the alphabet allows. It returns false for a zone that may not be served.
func checkRandomZone(t *testing.T, seed uint64) bool {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 7))
	kind := denial(seed % 4)
	zones := map[string][]mdns.RR{randomOrigin: sign(randomZone(rng, randomOrigin), randomOrigin, kind)}
	if seed%3 == 0 {
		zones[randomChild] = sign(randomZone(rng, randomChild), randomChild, denial(rng.IntN(4)))
	}
	worker, ok := serveRandom(t, zones)
	if !ok {
		return false
	}
	m := model.New(zones)
	for _, q := range randomQuestions() {
		mine, other := askWorker(t, worker, &q), contents(m.Answer(mdns.Question{Name: q.name, Qtype: q.typ, Qclass: mdns.ClassINET}, q.mode == do))
		mine.edns, other.edns = "", ""
		differences := compare(&q, "model", &mine, &other)
		if len(differences) == 0 && !mine.repeats {
			continue
		}
		if mine.repeats {
			t.Errorf("%s %s (%s): a record is repeated:\n%s", q.name, mdns.Type(q.typ), q.mode, strings.Join(mine.answer, "\n"))
		}
		for _, d := range differences {
			t.Error(d)
		}
		for origin, records := range zones {
			t.Errorf("seed %d, zone %s:\n%s", seed, origin, master(records))
		}
		return true
	}
	return true
}

// randomQuestions ask for all names of up to three labels.
func randomQuestions() []question {
	names := []string{randomOrigin}
	for range 3 {
		for _, name := range slices.Clone(names) {
			for _, label := range randomLabels {
				names = append(names, label+"."+name)
			}
		}
		slices.Sort(names)
		names = slices.Compact(names)
	}
	types := []uint16{mdns.TypeA, mdns.TypeNS, mdns.TypeDS, mdns.TypeCNAME, mdns.TypeDNAME, mdns.TypeTXT, mdns.TypeNSEC, mdns.TypeANY}
	var list []question
	for _, name := range names {
		for _, typ := range types {
			list = append(list, question{"random", name, typ, edns}, question{"random", name, typ, do})
		}
	}
	return list
}

// randomZone makes the records of an unsigned zone.
func randomZone(rng *rand.Rand, origin string) []mdns.RR {
	name := func() string {
		name := origin
		for range 1 + rng.IntN(3) {
			name = randomLabels[rng.IntN(len(randomLabels))] + "." + name
		}
		return name
	}
	texts := []string{
		fmt.Sprintf("%s 3600 IN SOA ns.%s hostmaster.%s 1 7200 3600 1209600 300", origin, origin, origin),
		fmt.Sprintf("%s 3600 IN NS ns.%s", origin, origin),
		fmt.Sprintf("ns.%s 3600 IN A 192.0.2.1", origin),
	}
	for i := range 2 + rng.IntN(8) {
		owner := name()
		switch rng.IntN(8) {
		case 0, 1:
			texts = append(texts, fmt.Sprintf("%s 3600 IN A 192.0.2.%d", owner, i+10))
		case 2, 3:
			texts = append(texts, fmt.Sprintf("%s 600 IN TXT \"%d\"", owner, i))
		case 4:
			texts = append(texts, fmt.Sprintf("%s 3600 IN CNAME %s", owner, name()))
		case 5:
			texts = append(texts, fmt.Sprintf("%s 3600 IN DNAME %s", owner, name()))
		case 6:
			texts = append(texts, fmt.Sprintf("%s 3600 IN NS ns.%s", owner, owner), fmt.Sprintf("ns.%s 3600 IN A 192.0.2.%d", owner, i+10))
		case 7:
			texts = append(texts, fmt.Sprintf("%s 3600 IN NS ns.elsewhere.example.", owner), fmt.Sprintf("%s 3600 IN DS %d 13 2 %064x", owner, i, i))
		}
	}
	slices.Sort(texts)
	records := make([]mdns.RR, 0, len(texts))
	for _, text := range slices.Compact(texts) {
		if rr, err := mdns.NewRR(text); err == nil {
			records = append(records, rr)
		}
	}
	return records
}

func master(records []mdns.RR) string {
	var b strings.Builder
	for _, rr := range records {
		b.WriteString(rr.String() + "\n")
	}
	return b.String()
}

// serveRandom gives the zones to onoma; ok is false when it finds errors in them.
func serveRandom(t *testing.T, zones map[string][]mdns.RR) (worker transport.Worker, ok bool) {
	t.Helper()
	server := authority.New(authority.Options{})
	for origin, records := range zones {
		file := filepath.Join(t.TempDir(), "zone")
		if err := os.WriteFile(file, []byte(master(records)), 0o644); err != nil {
			t.Fatal(err)
		}
		v, findings, err := zone.LoadFile(file, dns.MustName(origin))
		if err != nil {
			t.Fatalf("%v\n%s", err, master(records))
		}
		if v == nil || slices.ContainsFunc(findings, func(f zone.Finding) bool { return f.Severity == zone.Error }) {
			return nil, false
		}
		z := zone.New(dns.MustName(origin))
		z.Publish(v)
		server.AddZone(z)
	}
	return server.NewWorker(), true
}

// askWorker asks onoma without a socket, and without a limit that matters.
func askWorker(t *testing.T, worker transport.Worker, q *question) answer {
	t.Helper()
	msg, err := q.query(1)
	if err != nil {
		t.Fatal(err)
	}
	client := netip.MustParseAddrPort("127.0.0.1:5353")
	return normal(worker.Answer(nil, &transport.Query{Msg: msg, Client: client, Local: client, Proto: transport.TCP}), mdns.MaxMsgSize, nil)
}
