package local

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"onoma/dns"
	"onoma/resolver/cache"
)

const (
	hostsTTL     = 60 // seconds: the file may change
	maxHostsLine = 64 << 10
	maxHostNames = 2_000_000
	maxHostAddrs = 64 // of one name
	maxProblems  = 20
)

// Hosts answers A, AAAA and PTR questions from a hosts file: an address, then
// the names for it, then perhaps a comment after #.
type Hosts struct {
	addrs map[string][]netip.Addr // by the name's folded wire form
	names map[string]dns.Name     // by the reverse name's folded wire form: the first name of an address
}

// ReadHosts reads a hosts file. Lines that make no sense are passed over: what
// is wrong with the first of them is in problems, for a log; file names it there.
func ReadHosts(r io.Reader, file string) (h *Hosts, problems []string, err error) {
	h = &Hosts{addrs: map[string][]netip.Addr{}, names: map[string]dns.Name{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxHostsLine)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		if what := h.add(words); what != "" && len(problems) < maxProblems {
			problems = append(problems, fmt.Sprintf("%s:%d:1: %s", file, n, what))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return h, problems, nil
}

// add takes one line; what it returns is wrong with it.
func (h *Hosts) add(words []string) (problem string) {
	a, err := netip.ParseAddr(words[0])
	if err != nil || a.Zone() != "" {
		return fmt.Sprintf("%.60q is not an address, expected IPv4 or IPv6 without a zone", words[0])
	}
	if len(words) == 1 {
		return "an address without a name"
	}
	a = a.Unmap()
	for _, w := range words[1:] {
		name, err := dns.ParseName(w)
		if err != nil || name.IsRoot() {
			problem = fmt.Sprintf("%.60q is not a host name", w)
			continue
		}
		key := name.Fold().Wire()
		if len(h.addrs) >= maxHostNames && h.addrs[key] == nil {
			return fmt.Sprintf("more than %d names", maxHostNames)
		}
		if len(h.addrs[key]) < maxHostAddrs && !slices.Contains(h.addrs[key], a) {
			h.addrs[key] = append(h.addrs[key], a)
		}
		if rev := Reverse(a).Wire(); h.names[rev].IsZero() {
			h.names[rev] = name
		}
	}
	return problem
}

// Len returns the number of names.
func (h *Hosts) Len() int { return len(h.addrs) }

// Answer answers q if the file has something for its name and type, or has
// addresses of the other family for the name; else it returns nil.
func (h *Hosts) Answer(q dns.Question) *Answer {
	if h == nil || q.Class != dns.ClassIN {
		return nil
	}
	key := q.Name.Fold().Wire()
	if name := h.names[key]; q.Type == dns.TypePTR && !name.IsZero() {
		return hostAnswer(q, []dns.RData{dns.RData(name.Wire())})
	}
	all := h.addrs[key]
	if len(all) == 0 || q.Type != dns.TypeA && q.Type != dns.TypeAAAA {
		return nil
	}
	var data []dns.RData
	for _, a := range all {
		if a.Is4() == (q.Type == dns.TypeA) {
			data = append(data, a.AsSlice())
		}
	}
	return hostAnswer(q, data)
}

// hostAnswer has the data of one set; without any it is NODATA, and without an
// SOA, since the name has no zone here.
func hostAnswer(q dns.Question, data []dns.RData) *Answer {
	if len(data) == 0 {
		return &Answer{TTL: hostsTTL}
	}
	return &Answer{TTL: hostsTTL, Sets: []cache.RRset{{Name: q.Name, Type: q.Type, TTL: hostsTTL, Data: data}}}
}

// Reverse returns the name of a's PTR record (RFC 1035 §3.5, RFC 3596 §2.5).
func Reverse(a netip.Addr) dns.Name {
	var text strings.Builder
	if a.Is4() {
		b := a.As4()
		fmt.Fprintf(&text, "%d.%d.%d.%d.in-addr.arpa.", b[3], b[2], b[1], b[0])
		return dns.MustName(text.String())
	}
	b := a.As16()
	digits := hex.EncodeToString(b[:])
	for i := len(digits) - 1; i >= 0; i-- {
		text.WriteByte(digits[i])
		text.WriteByte('.')
	}
	return dns.MustName(text.String() + "ip6.arpa.")
}
