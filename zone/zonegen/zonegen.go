// Package zonegen writes made-up zones of any size for tests and measurements.
// What it writes depends only on its parameters, and needs no memory to speak
// of: names are computed from their number.
package zonegen

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"

	"onoma/dns"
)

// TLD is a zone of delegations, as a registry publishes it: two name servers
// for each, hosts of every tenth delegation, which has glue for them, and DS
// records on 30 of 100. It is not signed. Owners come in canonical order.
type TLD struct {
	Origin      dns.Name
	Delegations int // at most MaxDelegations
	Seed        uint64
}

// MaxDelegations is the most delegations that have names.
const MaxDelegations = 64 * 64 * 64 * 64

// syllables in ascending order: four of them make the name of a delegation, so
// that names ascend with their numbers.
var syllables = func() (s [64]string) {
	i := 0
	for _, c := range "bcdfghjklmnprstv" {
		for _, v := range "aeio" {
			s[i] = string(c) + string(v)
			i++
		}
	}
	return s
}()

var endings = [...]string{"", "", "", "24", "online", "shop", "-group", "-software", "-und-partner", "hosting"}

// hash mixes a number with the seed.
func (g TLD) hash(n int) uint64 {
	x := uint64(n) + g.Seed*0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// label returns the name of delegation n below the origin.
func (g TLD) label(n int) string {
	return syllables[n>>18&63] + syllables[n>>12&63] + syllables[n>>6&63] + syllables[n&63] + endings[g.hash(n)%10]
}

// host returns the number of the delegation that n has its name servers in.
func (g TLD) host(n int) int {
	return int(g.hash(n)>>8%uint64((g.Delegations+9)/10)) * 10
}

// WriteZone writes the zone as a master file.
func (g TLD) WriteZone(w io.Writer) error {
	if g.Delegations < 1 || g.Delegations > MaxDelegations {
		return fmt.Errorf("%d delegations, expected 1 to %d", g.Delegations, MaxDelegations)
	}
	b := bufio.NewWriterSize(w, 1<<16)
	fmt.Fprintf(b, "$ORIGIN %s\n$TTL 86400\n", g.Origin)
	fmt.Fprint(b, "@ SOA a.nic hostmaster.nic 1 1800 900 604800 900\n@ NS a.nic\n@ NS b.nic\na.nic A 192.0.2.1\nb.nic A 192.0.2.2\n")
	for n := range g.Delegations {
		name, host := g.label(n), g.label(g.host(n))
		fmt.Fprintf(b, "%s NS ns1.%s\n%s NS ns2.%s\n", name, host, name, host)
		if h := g.hash(n); h>>32%10 < 3 {
			fmt.Fprintf(b, "%s DS %d 13 2 %016x%016x%016x%016x\n", name, h&0xFFFF, h, g.hash(n+1), g.hash(n+2), g.hash(n+3))
		}
		if n%10 == 0 {
			fmt.Fprintf(b, "ns1.%s A 10.%d.%d.1\nns2.%s A 10.%d.%d.2\n", name, n>>8&255, n&255, name, n>>8&255, n&255)
		}
	}
	return b.Flush()
}

// WriteQueries writes n questions in the form that dnsperf reads: nine for a
// host below a delegation, then one for a name that does not exist.
func (g TLD) WriteQueries(w io.Writer, n int) error {
	rnd := rand.New(rand.NewPCG(g.Seed, 1))
	b := bufio.NewWriterSize(w, 1<<16)
	for i := range n {
		label := g.label(rnd.IntN(g.Delegations))
		if i%10 == 9 {
			label = "nx-" + label
		}
		fmt.Fprintf(b, "www.%s.%s A\n", label, g.Origin)
	}
	return b.Flush()
}
