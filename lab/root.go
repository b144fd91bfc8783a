package lab

import (
	"bytes"
	"fmt"
	"strings"
)

// rootZone makes the lab's root zone of the published one:
//   - DNSSEC records are left out. The lab changes the zone, so the signatures
//     would not hold.
//   - The lab's own top-level domains are delegated to the lab's servers.
//   - The root servers have the lab's addresses.
//   - Addresses of name servers that nothing is delegated to any more go.
//
// All other delegations stay as they are in the world: their servers are real,
// and out of reach.
func rootZone(b block) ([]byte, error) {
	text, err := signedRoot()
	if err != nil {
		return nil, fmt.Errorf("unpacking the root zone: %w", err)
	}
	var kept [][]byte
	used := map[string]bool{}
	for line := range bytes.Lines(text) {
		owner, typ, data := rootFields(line)
		if !keepInRoot(owner, typ) {
			continue
		}
		if typ == "NS" {
			used[strings.ToLower(data)] = true
		}
		kept = append(kept, line)
	}
	out := bytes.NewBufferString("; The root zone of 1 February 2020, unsigned, with the lab's own servers in place of some.\n")
	for _, line := range kept {
		owner, typ, _ := rootFields(line)
		if (typ == "A" || typ == "AAAA") && !used[owner] {
			continue
		}
		out.Write(line)
	}
	writeLabDelegations(out, b)
	return out.Bytes(), nil
}

// rootFields splits a line of the published zone, which has five columns.
func rootFields(line []byte) (owner, typ, data string) {
	f := bytes.Fields(line)
	if len(f) < 5 {
		return "", "", ""
	}
	return strings.ToLower(string(f[0])), string(f[3]), string(f[4])
}

func keepInRoot(owner, typ string) bool {
	switch typ {
	case "RRSIG", "NSEC", "DNSKEY", "DS", "":
		return false
	case "NS":
		return !isHosted(strings.TrimSuffix(owner, "."))
	case "A", "AAAA":
		return !strings.HasSuffix(owner, ".root-servers.net.")
	}
	return true
}

func writeLabDelegations(out *bytes.Buffer, b block) {
	for _, op := range plan() {
		for _, s := range op.servers {
			switch {
			case op.name == "root":
				fmt.Fprintf(out, "%s.\t518400\tIN\tA\t%s\n", s.name, b.addr(s.third, s.fourth))
			case isHosted(op.name):
				fmt.Fprintf(out, "%s.\t172800\tIN\tNS\t%s.\n", op.name, s.name)
				fmt.Fprintf(out, "%s.\t172800\tIN\tA\t%s\n", s.name, b.addr(s.third, s.fourth))
			}
		}
	}
}

// rootHints is the file that resolvers begin with.
func rootHints(b block) []byte {
	var out bytes.Buffer
	out.WriteString("; The lab's root servers, in the form of IANA's named.root.\n")
	for _, s := range plan()[0].servers {
		fmt.Fprintf(&out, ".\t3600000\tNS\t%s.\n%s.\t3600000\tA\t%s\n", s.name, s.name, b.addr(s.third, s.fourth))
	}
	return out.Bytes()
}
