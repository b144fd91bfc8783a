package zonefile

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	miekg "github.com/miekg/dns"

	"onoma/dns"
)

// oracleRecords reads text with another implementation and returns its records
// as this package's, or an error.
func oracleRecords(text, origin string, ttl uint32) ([]dns.Record, error) {
	zp := miekg.NewZoneParser(strings.NewReader(text), origin, "db")
	if ttl != 0 {
		zp.SetDefaultTTL(ttl)
	}
	var records []dns.Record
	buf := make([]byte, 1<<17)
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		rec, err := fromOracle(rr, buf)
		if err != nil {
			return records, err
		}
		records = append(records, rec)
	}
	return records, zp.Err()
}

// fromOracle packs rr into buf, which is scratch.
func fromOracle(rr miekg.RR, buf []byte) (dns.Record, error) {
	n, err := miekg.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return dns.Record{}, fmt.Errorf("packing %v: %w", rr, err)
	}
	length, err := dns.WireNameLen(buf[:n])
	if err != nil {
		return dns.Record{}, err
	}
	name, err := dns.NameFromWire(buf[:length])
	h := rr.Header()
	return dns.Record{
		Name: name, Type: dns.Type(h.Rrtype), Class: dns.Class(h.Class), TTL: h.Ttl,
		Data: bytes.Clone(buf[length+10 : n]),
	}, err
}

func lines(records []dns.Record) []string {
	list := make([]string, len(records))
	for i, r := range records {
		list[i] = r.String()
	}
	return list
}

// oracleSkips are the well-formed scripts that the oracle reads otherwise.
var oracleSkips = map[string]string{
	"ttl-from-soa-minimum": "has no TTL for the SOA; BIND and we take the minimum (RFC 1035 §3.3.13)",
	"owner-omitted":        "does not end a word at a line end within parentheses",
	"parentheses":          "does not end a word at a line end within parentheses",
	"generic-class":        "knows no class of the zone, and takes IN for what is omitted",
	"chaos":                "knows no class CHAOS by that name",
	"dnssec":               "does not know the mnemonics of algorithms (RFC 4034 appendix A.1)",
	"generate":             "does not apply $TTL to $GENERATE, nor go on with its last owner",
	"generate-bases":       "has no nibbles",
	"generate-dollars":     "does not apply $TTL to $GENERATE",
	"generate-text":        "takes the right side as it stands; BIND and we cut a quoted one into words",
}

// TestOracle: another implementation reads the same records from the scripts.
func TestOracle(t *testing.T) {
	for _, c := range parseScript(t, "testdata/read/records.txt").cases {
		name := strings.Fields(c.title)[0]
		if strings.Contains(strings.ToUpper(c.text), "$INCLUDE") {
			continue // the oracle's needs files; BIND is asked instead
		}
		t.Run(name, func(t *testing.T) {
			z := c.reader(t, t.TempDir())
			want, err := oracleRecords(c.text, z.src.origin.String(), z.ttl.std)
			got, ourErr := z.ReadAll()
			if ourErr != nil {
				t.Fatal(ourErr)
			}
			d := cmp.Diff(lines(want), lines(got))
			reason, skip := oracleSkips[name]
			switch {
			case skip && err == nil && d == "":
				t.Errorf("no difference any more, expected one: the oracle %s", reason)
			case !skip && err != nil:
				t.Errorf("the oracle says %v", err)
			case !skip && d != "":
				t.Errorf("records (-oracle +got):\n%s", d)
			}
		})
	}
}
