package validator_test

import (
	"context"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/resolver/validator"
)

// whole answers a question with all that aliases lead to, as a resolver has it.
func (w *world) whole(q dns.Question) *dns.Message {
	w.Helper()
	all := &dns.Message{}
	for range 5 {
		m, err := w.fetch(context.Background(), q)
		if err != nil {
			w.Fatal(err)
		}
		all.RCode = m.RCode
		all.Answer, all.Authority = append(all.Answer, m.Answer...), append(all.Authority, m.Authority...)
		from, isThere := q.Name, false
		for _, r := range m.Answer {
			if r.Type == dns.TypeCNAME && r.Name.Equal(q.Name) && q.Type != dns.TypeCNAME {
				q.Name = r.Data.Target(dns.TypeCNAME)
			}
			isThere = isThere || r.Type == q.Type && r.Name.Equal(q.Name)
		}
		if isThere || q.Name.Equal(from) {
			break
		}
	}
	return all
}

func question(text string) dns.Question {
	name, typ, _ := strings.Cut(text, " ")
	t, _ := dns.ParseType(typ)
	return dns.Question{Name: dns.MustName(name), Type: t, Class: dns.ClassIN}
}

// An answer at hand is judged as one that is asked for.
func TestJudgeAgreesWithLook(t *testing.T) {
	for kind, h := range kinds {
		w := usual(t, h)
		for _, text := range []string{
			"www.leaf.test. A", "leaf.test. DNSKEY", "leaf.test. DS", ". NS", "www.leaf.test. AAAA", "empty.leaf.test. A", "no.leaf.test. A",
			"x.wild.leaf.test. TXT", "x.wild.leaf.test. A", "alias.leaf.test. A", "alias.leaf.test. CNAME", "away.leaf.test. A", "other.leaf.test. A",
			"nowhere.leaf.test. A", "x.star.leaf.test. A", "www.dname.leaf.test. A", "www.unsigned.test. A", "no.unsigned.test. A", "sub.leaf.test. DS",
			"x.w.n3.test. TXT", "no.n3.test. A",
		} {
			q := question(text)
			want := w.look(w.validator(".", validator.Limits{}), text)
			work := validator.Limits{}.Work()
			got, err := w.validator(".", validator.Limits{}).Judge(context.Background(), q, w.whole(q), dns.Name{}, &work)
			if err != nil || got.Status != want.Status || got.RCode != want.RCode || len(got.Answer) != len(want.Answer) {
				t.Errorf("%s, %s: judged %v %s with %d records (%s, %v); looked up %v %s with %d (%s)", kind, text,
					got.Status, got.RCode, len(got.Answer), got.Why, err, want.Status, want.RCode, len(want.Answer), want.Why)
			}
		}
	}
}

// All that is judged for one question is paid from the same work.
func TestJudgeDrawsFromOneWork(t *testing.T) {
	w := usual(t, kinds["NSEC3"])
	v := w.validator(".", validator.Limits{})
	work := validator.Limits{Signatures: 12}.Work()
	before := work
	for range 3 {
		q := question("www.leaf.test. AAAA")
		r, err := v.Judge(context.Background(), q, w.whole(q), dns.Name{}, &work)
		if err != nil || r.Status != validator.Secure {
			t.Fatalf("%v %s %v", r.Status, r.Why, err)
		}
		if work.Signatures >= before.Signatures || work.Rounds >= before.Rounds {
			t.Errorf("nothing was paid: %+v, before %+v", work, before)
		}
		before = work
	}
	if work.Questions >= (validator.Limits{}).Work().Questions {
		t.Error("questions cost nothing")
	}
	work.Signatures = 0
	q := question("www.leaf.test. A")
	if r, _ := v.Judge(context.Background(), q, w.whole(q), dns.Name{}, &work); r.Status != validator.Bogus || !strings.Contains(r.Why, "too much work") {
		t.Errorf("with nothing left: %v, %s", r.Status, r.Why)
	}
}

// The SOA of a negative answer must hold, too: its TTL is that of the answer.
func TestJudgeLooksAtTheSOA(t *testing.T) {
	w := usual(t, kinds["NSEC"])
	q := question("www.leaf.test. AAAA")
	m := w.whole(q)
	for i, r := range m.Authority {
		if r.Type == dns.TypeSOA {
			m.Authority[i].Data = append(dns.RData(nil), r.Data...)
			m.Authority[i].Data[len(r.Data)-1] ^= 1
		}
	}
	work := validator.Limits{}.Work()
	if r, err := w.validator(".", validator.Limits{}).Judge(context.Background(), q, m, dns.Name{}, &work); err != nil || r.Status != validator.Bogus {
		t.Errorf("%v, %s, %v", r.Status, r.Why, err)
	}
}

// Where local data takes over, nothing is to be proved.
func TestJudgeEndsWhereItIsTold(t *testing.T) {
	w := usual(t, kinds["NSEC"])
	q := question("alias.leaf.test. AAAA")
	m := w.whole(q)
	m.Authority = nil
	work := validator.Limits{}.Work()
	if r, err := w.validator(".", validator.Limits{}).Judge(context.Background(), q, m, dns.MustName("WWW.leaf.test."), &work); err != nil || r.Status != validator.Secure {
		t.Errorf("%v, %s, %v", r.Status, r.Why, err)
	}
}

// A brief validator says the same, and keeps no pictures of zones that it knows.
func TestBrief(t *testing.T) {
	w := usual(t, kinds["NSEC"])
	anchor := dns.Record{Name: dns.Root, Type: dns.TypeDNSKEY, Class: dns.ClassIN, Data: w.zones[dns.Root].keys[0].RData()}
	v := validator.New(validator.Options{Anchors: []dns.Record{anchor}, Fetch: w.fetch, Clock: w.clock, Brief: true})
	for range 2 {
		for text, want := range map[string]validator.Status{"www.leaf.test. A": validator.Secure, "www.unsigned.test. A": validator.Insecure, "no.leaf.test. A": validator.Secure} {
			r := w.look(v, text)
			if r.Status != want || len(r.Chain) < 2 || r.Chain[0].Keys != nil || r.Chain[1].Denial != nil || r.Chain[1].Zone.IsZero() {
				t.Errorf("%s: %v, %+v", text, r.Status, r.Chain)
			}
		}
	}
}
