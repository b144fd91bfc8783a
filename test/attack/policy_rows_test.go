package attack

import (
	"fmt"
	"testing"
	"time"

	"onoma/dns"
)

// TestBogusPolicy: a policy rule does not make an answer of what did not validate (CVE-2026-50243: a rewritten answer came
// without a word of its being bogus), and what rules rewrite is never said to be secure.
func TestBogusPolicy(t *testing.T) {
	w := newWorld(t)
	evil := w.sign("evil.", "good 60 A 192.0.2.66")
	evil.server.set(func(q *asked) *dns.Message {
		if name := q.Question().Name; name.Fold().FirstLabel() == "bad" && q.Question().Type == dns.TypeA {
			return q.reply(dns.RCodeNoError, evil.spoilt(rr("%s 60 A 192.0.2.66", name))...)
		}
		return honest(q)
	})
	rules := w.write("rpz.zone", "$TTL 60\n@ SOA ns. host. 1 3600 600 86400 60\n@ NS ns.\n32.66.2.0.192.rpz-ip A 203.0.113.9\n")
	w.serve(fmt.Sprintf("  policy:\n    rpz:\n      rpz.: {file: %s}\n", rules))
	c := w.attack(2, 5*time.Second, func() {
		w.expect(evil.at("bad"), dns.TypeA, "SERVFAIL")
		w.expect(evil.at("bad"), dns.TypeA, "SERVFAIL") // from the cache, too
		w.expect(evil.at("good"), dns.TypeA, "NOERROR 203.0.113.9")
	})
	w.row(row{attack: "policy rewrites bogus, CVE-2026-50243", defence: "policy comes after validation; bogus stays SERVFAIL",
		ceiling: ceiling{messages: 10, octets: 6000, cpu: 40}, cost: c, seen: "SERVFAIL where a rule has another answer, which it gives for what is good"})
}
