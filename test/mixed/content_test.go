package mixed

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"onoma/test/peers"
)

// content is what has to be in a zone besides its SOA record: lines of records, by the group of names that they belong to.
type content map[string][]string

// apex is the group that no change touches.
const apex = "@"

func newContent(zone string, random *rand.Rand) content {
	c := content{apex: {zone + " 60 NS ns." + zone, "ns." + zone + " 60 A 127.0.0.1"}}
	for i := range 40 {
		c[groupName(i)] = draw(zone, groupName(i), random)
	}
	return c
}

func groupName(i int) string { return fmt.Sprintf("h%d", i) }

// draw makes up the records of a group.
func draw(zone, g string, random *rand.Rand) []string {
	v := random.IntN(250)
	forms := []string{
		"{g} 60 A 192.0.2.{v}",
		"{g} 300 AAAA 2001:db8::{v}|{g} 60 A 192.0.2.{v}|{g} 60 A 192.0.3.{v}",
		"{g} 60 NS ns.{g}|ns.{g} 60 A 192.0.2.{v}",
		"{g} 60 NS ns.{g}|{g} 60 NS ns.elsewhere.example.|ns.{g} 60 A 192.0.2.{v}|ns.{g} 60 AAAA 2001:db8::{v}",
		"{g} 60 CNAME target-{v}.elsewhere.example.",
		`*.{g} 60 TXT "a \"{v}\" ; b" "{long}"`,
		"{g} 60 MX {v} mail.{g}|mail.{g} 60 A 192.0.2.{v}",
		"_sip._tcp.{g} 60 SRV 1 2 {v} target.elsewhere.example.",
		`{g} 60 CAA 0 issue "ca-{v}.example"`,
		"deep.below.{g} {v}0 A 192.0.2.{v}",
		"{g} 60 PTR target-{v}.elsewhere.example.|{g} 60 TXT \"{v}\"",
	}
	text := strings.NewReplacer("{g}", g+"."+zone, "{v}", fmt.Sprint(v), "{long}", strings.Repeat("x", v))
	return strings.Split(text.Replace(forms[random.IntN(len(forms))]), "|")
}

// owners are the names of some lines.
func owners(lines []string) (names []string) {
	for _, l := range lines {
		name, _, _ := strings.Cut(l, " ")
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// change is what turns a content into another.
type change struct {
	before, after content
	remove        []string // names of which all goes
	add           []string // lines
}

// next makes up a change of some groups, of which some vanish.
func (c content) next(zone string, random *rand.Rand) change {
	out := change{before: c, after: maps.Clone(c)}
	for range 1 + random.IntN(4) {
		g := groupName(random.IntN(60))
		if len(c[g]) > 0 && random.IntN(3) == 0 {
			delete(out.after, g)
		} else {
			out.after[g] = draw(zone, g, random)
		}
	}
	for g := range maps.Keys(union(out.before, out.after)) {
		if !slices.Equal(out.before[g], out.after[g]) {
			out.remove = append(out.remove, owners(out.before[g])...)
			out.add = append(out.add, out.after[g]...)
		}
	}
	slices.Sort(out.remove)
	return out
}

func union(a, b content) content {
	u := maps.Clone(a)
	maps.Copy(u, b)
	return u
}

// text is a zone file.
func (c content) text(zone string, serial int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s 60 SOA ns.%s hostmaster.%s %d 5 1 86400 60\n", zone, zone, zone, serial)
	for _, g := range slices.Sorted(maps.Keys(c)) {
		b.WriteString(strings.Join(c[g], "\n") + "\n")
	}
	return b.String()
}

// records are the records in the form of [transfer].
func (c content) records() (lines []string, err error) {
	for _, group := range c {
		for _, l := range group {
			rr, err := dns.NewRR(l)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", l, err)
			}
			lines = append(lines, rr.String())
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines), nil
}

// transfer gets a zone from a server with another's client: the SOA record, and all others sorted.
func transfer(addr netip.AddrPort, zone string, signer *peers.Key) (soa string, lines []string, err error) {
	m := new(dns.Msg).SetAxfr(zone)
	tr := dns.Transfer{DialTimeout: 2 * time.Second, ReadTimeout: 5 * time.Second}
	if signer != nil {
		tr.TsigSecret = map[string]string{signer.Name: signer.Secret}
		m.SetTsig(signer.Name, dns.HmacSHA256, 300, time.Now().Unix())
	}
	envelopes, err := tr.In(m, addr.String())
	if err != nil {
		return "", nil, err
	}
	for e := range envelopes {
		if e.Error != nil {
			return "", nil, e.Error
		}
		for _, rr := range e.RR {
			if rr.Header().Rrtype == dns.TypeSOA {
				soa = rr.String()
			} else {
				lines = append(lines, rr.String())
			}
		}
	}
	slices.Sort(lines)
	return soa, lines, nil
}
