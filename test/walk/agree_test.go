package walk

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// question is one name and type to resolve.
type question struct {
	name string
	typ  uint16
}

func (q question) String() string { return q.name + " " + dns.TypeToString[q.typ] }

// customers are the directories of zone files that belong to hosting providers; the others are the root's and registries'.
var customers = []string{"acropolis", "awsdns", "cdn", "example", "hermes", "meltemi"}

// everywhere are the types that every name is asked for, whether it has them or not.
var everywhere = []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypeTXT, dns.TypeCNAME}

// more are questions that no owner name in a zone file leads to: wildcards' names, empty non-terminals, names under a
// DNAME, registries' and roots' names, names that do not exist at each level, other cases of letters.
var more = []question{
	{"lost.labyrinth.guru.", dns.TypeTXT}, {"deep.er.labyrinth.guru.", dns.TypeTXT}, {"lost.labyrinth.guru.", dns.TypeA},
	{"pan.shops.labyrinth.guru.", dns.TypeA}, {"a.b.shops.labyrinth.guru.", dns.TypeA}, {"pan.shops.labyrinth.guru.", dns.TypeTXT},
	{"x.minos.shops.labyrinth.guru.", dns.TypeA},
	{"cellar.labyrinth.guru.", dns.TypeTXT}, {"beer.cellar.labyrinth.guru.", dns.TypeTXT},
	{"api.knossos.labyrinth.guru.", dns.TypeA}, {"www.knossos.labyrinth.guru.", dns.TypeAAAA},
	{"nobody.knossos.labyrinth.guru.", dns.TypeA}, {"nobody.crete.labyrinth.guru.", dns.TypeA},
	{"domainkey.papyrus.org.", dns.TypeTXT}, {"_tcp.papyrus.org.", dns.TypeSRV}, {"WWW.Papyrus.ORG.", dns.TypeA},
	{"lame-duck.net.", dns.TypeA}, {"www.lame-duck.net.", dns.TypeA},
	{"nobody.guru.", dns.TypeA}, {"nobody.com.", dns.TypeMX}, {"no-such-tld-here.", dns.TypeA}, {"www.no-such-tld-here.", dns.TypeAAAA},
	{"guru.", dns.TypeNS}, {"com.", dns.TypeSOA}, {"a.nic.guru.", dns.TypeA}, {"nic.guru.", dns.TypeA},
	{".", dns.TypeNS}, {"m.root-servers.net.", dns.TypeA}, {"root-servers.net.", dns.TypeNS},
	{"18.198.in-addr.arpa.", dns.TypePTR}, {"99.25.18.198.in-addr.arpa.", dns.TypePTR}, {"1.0.0.2.ip6.arpa.", dns.TypePTR},
}

// apart are names whose failure has no agreed shape, each with the reason.
var apart = map[string]string{
	"theseus.labyrinth.guru.": "an alias loop",
	"ariadne.labyrinth.guru.": "an alias loop",
	"echo.labyrinth.guru.":    "an alias of a name whose only server does not listen: some wait for it for minutes",
}

// outcome is what a resolver says to a question: its response code, and the answer section as a set without TTLs.
type outcome struct {
	RCode  string
	Answer []string
}

// agree wants a peer to say to each question what the lab's resolver says.
func (w *world) agree(t *testing.T, peer netip.AddrPort) {
	questions := append(zoneQuestions(t), more...)
	if len(questions) < 40 {
		t.Fatalf("only %d questions were found in the zone files", len(questions))
	}
	ours, theirs := askAll(t, w.resolver, questions), askAll(t, peer, questions)
	kinds := make(map[string]int)
	for i, q := range questions {
		kinds[kindOf(ours[i])]++
		if diff := cmp.Diff(ours[i], theirs[i]); diff != "" {
			t.Errorf("%v (-onoma +peer):\n%s", q, diff)
		}
	}
	t.Logf("%d questions: %v", len(questions), kinds)
	for _, kind := range []string{"records", "NODATA", "NXDOMAIN", "SERVFAIL"} {
		if kinds[kind] == 0 {
			t.Errorf("no question led to %s, so nothing was proven of it", kind)
		}
	}
}

// kindOf names what sort of outcome it is.
func kindOf(o outcome) string {
	switch {
	case o.RCode != "NOERROR":
		return o.RCode
	case len(o.Answer) == 0:
		return "NODATA"
	}
	return "records"
}

// zoneQuestions are every owner name of the customers' zones with every type that it has and those of everywhere, and a
// name of each zone that does not exist.
func zoneQuestions(t *testing.T) []question {
	t.Helper()
	var questions []question
	seen := make(map[question]bool)
	add := func(name string, types ...uint16) {
		for _, typ := range types {
			if typ == dns.TypeRRSIG || typ == dns.TypeNSEC {
				continue // resolvers answer with what they have of them, and some go on by the name's alias
			}
			q := question{strings.ToLower(name), typ}
			if !seen[q] && apart[q.name] == "" {
				seen[q] = true
				questions = append(questions, q)
			}
		}
	}
	for _, dir := range customers {
		files, err := filepath.Glob(filepath.Join("..", "..", "lab", "data", "zones", dir, "*.zone"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no zone files of %s: %v", dir, err)
		}
		for _, file := range files {
			add("nobody."+strings.TrimSuffix(filepath.Base(file), ".zone")+".", dns.TypeA, dns.TypeMX)
			for _, rr := range records(t, file) {
				add(rr.Header().Name, rr.Header().Rrtype)
				add(rr.Header().Name, everywhere...)
			}
		}
	}
	return questions
}

// records are those of a zone file, read by the oracle's parser.
func records(t *testing.T, file string) []dns.RR {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []dns.RR
	parser := dns.NewZoneParser(f, "", file)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		all = append(all, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// askAll asks a few questions at a time.
func askAll(t *testing.T, server netip.AddrPort, questions []question) []outcome {
	t.Helper()
	outcomes := make([]outcome, len(questions))
	var asking sync.WaitGroup
	turns := make(chan struct{}, 8)
	for i, q := range questions {
		turns <- struct{}{}
		asking.Go(func() {
			defer func() { <-turns }()
			outcomes[i] = ask(server, q)
		})
	}
	asking.Wait()
	return outcomes
}

// ask asks one question, over TCP again where the answer is cut off. An error takes the place of the response code.
func ask(server netip.AddrPort, q question) outcome {
	msg := new(dns.Msg).SetQuestion(q.name, q.typ)
	msg.CheckingDisabled = true // peers are not told of the lab's keys
	msg.SetEdns0(1232, false)
	client := dns.Client{Timeout: 20 * time.Second}
	r, _, err := client.Exchange(msg, server.String())
	if err == nil && r.Truncated {
		client.Net = "tcp"
		r, _, err = client.Exchange(msg, server.String())
	}
	if err != nil {
		return outcome{RCode: fmt.Sprintf("no answer: %v", err)}
	}
	o := outcome{RCode: dns.RcodeToString[r.Rcode]}
	for _, rr := range r.Answer {
		// Compression may lend a name the case of another; to the DNS they are the same (RFC 4343 §3).
		rr.Header().Ttl, rr.Header().Name = 0, strings.ToLower(rr.Header().Name)
		if alias, ok := rr.(*dns.CNAME); ok {
			alias.Target = strings.ToLower(alias.Target)
		}
		o.Answer = append(o.Answer, rr.String())
	}
	slices.Sort(o.Answer)
	return o
}
