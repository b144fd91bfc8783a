package transfer

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

const zoneName = "transfer.example."

// zoneText is a zone that changes: records by what they replace.
type zoneText struct {
	serial  uint32
	records map[string]string
	random  *rand.Rand
}

// newZone has n names with records of many kinds, cuts with glue and what they
// occlude among them.
func newZone(serial uint32, n int, seed uint64) *zoneText {
	z := &zoneText{serial: serial, records: make(map[string]string), random: rand.New(rand.NewPCG(seed, 1))}
	z.records["apex"] = "@ 300 NS ns1\n@ 300 NS ns.elsewhere.example.\nns1 300 A 192.0.2.1\n@ 60 MX 10 mail"
	for i := range n {
		z.put(i)
	}
	return z
}

// put makes new records for the i-th name.
func (z *zoneText) put(i int) {
	r, v := z.random, z.random.IntN(250)
	forms := []string{
		fmt.Sprintf("h%d %d A 192.0.2.%d", i, 60+v%3, v),
		fmt.Sprintf("h%d 300 AAAA 2001:db8::%x\nh%d 300 A 192.0.2.%d\nh%d 300 A 192.0.2.%d", i, v, i, v, i, v+1),
		fmt.Sprintf("h%d 300 NS ns.h%d\nns.h%d 300 A 192.0.2.%d\nbelow.ns.h%d 5 TXT occluded", i, i, i, v, i),
		fmt.Sprintf("h%d 300 CNAME target%d", i, v),
		fmt.Sprintf("h%d 300 DNAME target%d.elsewhere.example.", i, v),
		fmt.Sprintf("*.h%d 300 TXT \"a \\\"%d\\\" \\\\ ;\" %s", i, v, strings.Repeat("x", v)),
		fmt.Sprintf("H%d.Mixed.Case 300 SRV 1 2 %d Target%d", i, v, v),
		fmt.Sprintf("_s%d._tcp 300 TYPE65280 \\# 2 %04x", i, v),
		fmt.Sprintf("h%d 300 CAA 0 issue \"ca%d.example\"\nh%d 300 DS %d 13 2 %064x\nh%d 300 NS ns.elsewhere.example.", i, v, i, v, v, i),
	}
	z.records[fmt.Sprint(i)] = forms[r.IntN(len(forms))]
}

// change changes a few names, of which some come and some go.
func (z *zoneText) change() {
	z.serial++
	keys := slices.Sorted(maps.Keys(z.records))
	for range 1 + z.random.IntN(8) {
		switch i := z.random.IntN(len(keys)); {
		case keys[i] == "apex":
			z.records["apex"] = fmt.Sprintf("@ 300 NS ns1\nns1 300 A 192.0.2.%d\n@ 60 MX %d mail", z.random.IntN(250), z.random.IntN(100))
		case z.random.IntN(3) == 0:
			delete(z.records, keys[i])
		default:
			z.put(z.random.IntN(2 * len(keys)))
		}
	}
}

// write puts the zone into a file, all at once.
func (z *zoneText) write(t testing.TB, file string) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN %s\n@ 300 SOA ns1 hostmaster %d 86400 7200 864000 300\n", zoneName, z.serial)
	for _, key := range slices.Sorted(maps.Keys(z.records)) {
		b.WriteString(z.records[key] + "\n")
	}
	if err := os.WriteFile(file+".new", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// canonical is a record as text with names in lower case.
func canonical(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.TXT, *dns.CAA, *dns.RFC3597:
		h := *rr.Header()
		return strings.ToLower(h.Name) + " " + strings.TrimPrefix(rr.String(), h.Name)
	}
	return strings.ToLower(rr.String())
}
