package policy_test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/policy"
	"onoma/test/peers"
)

// upstreamAddr is what the rest of the internet has for a name: one of a few addresses, so that rules by address match some.
func upstreamAddr(name dns.Name) netip.Addr {
	h := fnv.New32a()
	h.Write([]byte(name.Fold().Wire()))
	n := h.Sum32() >> 8
	return netip.AddrFrom4([4]byte{203, 0, byte(112 + n%4), byte(n / 4 % 8)})
}

// upstream answers every A question.
func upstream(t *testing.T) netip.AddrPort {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			m, err := dns.ParseMessage(buf[:n])
			if err != nil {
				continue
			}
			q := m.Question()
			m.Flags |= dns.FlagQR | dns.FlagRA
			m.Answer, m.Authority, m.Additional, m.EDNS = nil, nil, nil, nil
			if q.Type == dns.TypeA {
				_, data := dns.NewAddr(upstreamAddr(q.Name))
				m.Answer = []dns.Record{{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60, Data: data}}
			} else {
				m.Authority = []dns.Record{dns.MustRecord(". 60 IN SOA . . 1 1 1 1 60")}
			}
			if out, err := m.Append(nil); err == nil {
				conn.WriteTo(out, from)
			}
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// ruleNames are few labels in many ways, so that names, names above them and asterisks meet.
func ruleName(r *rand.Rand) string {
	labels := make([]string, 1+r.IntN(4))
	for i := range labels {
		labels[i] = string("abc"[r.IntN(3)])
	}
	return strings.Join(labels, ".") + ".test"
}

// randomZone writes a policy zone; byAnswer has it have rules about addresses, too.
func randomZone(r *rand.Rand, rules int, byAnswer bool) string {
	var out strings.Builder
	out.WriteString("$TTL 300\n@ SOA ns. host. 1 3600 600 86400 30\n@ NS localhost.\nloaded.test CNAME .\n")
	seen := map[string]bool{}
	for range rules {
		owner := ruleName(r)
		switch n := r.IntN(10); {
		case n < 4:
			owner = "*." + owner
		case byAnswer && n == 8:
			length := 24 + r.IntN(9)
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, byte(112 + r.IntN(4)), byte(r.IntN(8))}), length).Masked()
			a := p.Addr().As4()
			owner = fmt.Sprintf("%d.%d.%d.%d.%d.rpz-ip", length, a[3], a[2], a[1], a[0])
		case byAnswer && n == 9 && r.IntN(4) == 0:
			owner = fmt.Sprintf("32.%d.0.0.127.rpz-client-ip", 2+r.IntN(8))
		}
		if seen[owner] {
			continue
		}
		seen[owner] = true
		actions := []string{"CNAME .", "CNAME *.", "CNAME rpz-passthru.", "A 192.0.2.%d", "CNAME g%d.garden.", "TXT \"%d\"", "CNAME *.w%d.garden."}
		action := actions[r.IntN(len(actions))]
		if strings.Contains(action, "%d") {
			action = fmt.Sprintf(action, r.IntN(250))
		}
		fmt.Fprintf(&out, "%s %s\n", owner, action)
	}
	return out.String()
}

// belowEmpty says whether a name is, or is below, one without rules that exists because there are rules for names below it.
func belowEmpty(zone string, name dns.Name) bool {
	for name.NumLabels() > 1 {
		text := strings.TrimSuffix(name.String(), ".")
		if !strings.Contains(zone, "\n"+text+" ") && strings.Contains(zone, "."+text+" ") {
			return true
		}
		name = name.Parent()
	}
	return false
}

// expected is what we would answer.
func expected(rpz policy.RPZ, client netip.Addr, name dns.Name) string {
	m := rpz.Answer(rpz.Question(client, []byte(name.Wire())), policy.Facts{Addresses: []netip.Addr{upstreamAddr(name)}})
	reply := rpz.Reply(m, name, dns.TypeA)
	answer := reply.Answer
	last := reply.Follow
	if m.Action == policy.None || m.Action == policy.Passthru {
		last = name
	}
	if !last.IsZero() {
		_, data := dns.NewAddr(upstreamAddr(last))
		answer = append(answer, dns.Record{Name: last, Type: dns.TypeA, Data: data})
	}
	return shown(reply.RCode, answer)
}

func shown(rcode dns.RCode, answer []dns.Record) string {
	var lines []string
	for _, r := range answer {
		lines = append(lines, fmt.Sprintf("%v %v %s", r.Name.Fold(), r.Type, strings.ToLower(r.Data.Text(r.Type))))
	}
	slices.Sort(lines)
	return fmt.Sprint(rcode, " ", lines)
}

func askFrom(t *testing.T, client netip.Addr, server netip.AddrPort, name dns.Name) string {
	t.Helper()
	return ask(t, client, server, dns.Question{Name: name, Type: dns.TypeA, Class: dns.ClassIN})
}

func ask(t *testing.T, client netip.Addr, server netip.AddrPort, q dns.Question) string {
	t.Helper()
	conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(client, 0)), net.UDPAddrFromAddrPort(server))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	query, err := dns.NewQuery(1, q, true).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for range 3 {
		conn.Write(query)
		conn.SetReadDeadline(time.Now().Add(3 * time.Second))
		if n, err := conn.Read(buf); err == nil {
			m, err := dns.ParseMessage(buf[:n])
			if err != nil {
				t.Fatal(err)
			}
			return shown(m.RCode, m.Answer)
		}
	}
	return "no answer"
}

// BIND with three zones of random rules, by name, client and address, and Unbound with one of rules by name, answer random questions as we do.
// (Unbound hears all zones' rules about names before any rule about an answer, and to it an asterisk is not hidden by a name that has
// no rule of its own, which RFC 4592 §2.2.2 says it is; BIND has it as the RFC does.)
func TestAgainstPeers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts other servers")
	}
	for _, c := range []struct {
		peer     *peers.Resolver
		zones    int
		byAnswer bool
	}{{peers.BINDResolver, 3, true}, {peers.Unbound, 1, false}} {
		t.Run(c.peer.Name, func(t *testing.T) {
			const seed = 1
			r := rand.New(rand.NewPCG(seed, 2))
			var zones []peers.PolicyZone
			var rpz policy.RPZ
			for i := range c.zones {
				z := peers.PolicyZone{Name: fmt.Sprintf("rpz%d.", i), Text: randomZone(r, 25+15*i, c.byAnswer)}
				zones = append(zones, z)
				rpz = append(rpz, zoneOf(t, z.Name, strings.TrimPrefix(z.Text, "$TTL 300\n")))
			}
			server := peers.PolicyResolver(t, c.peer, upstream(t), zones)
			for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); { // BIND compiles its zones after it began to answer
				if askFrom(t, netip.MustParseAddr("127.0.0.1"), server.Addr, dns.MustName("loaded.test.")) == "NXDOMAIN []" {
					break
				}
			}
			differ, matched := 0, 0
			for range 600 {
				name := dns.MustName(ruleName(r) + ".")
				if c.peer == peers.Unbound && belowEmpty(zones[0].Text, name) {
					continue
				}
				client := netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + r.IntN(12))})
				want := expected(rpz, client, name)
				if !strings.Contains(want, upstreamAddr(name).String()) {
					matched++
				}
				if got := askFrom(t, client, server.Addr, name); got != want {
					if differ++; differ < 8 {
						t.Errorf("%v from %v: %s says %s, we say %s", name, client, c.peer.Name, got, want)
					}
				}
			}
			if differ > 0 {
				for _, z := range zones {
					t.Logf("%s\n%s", z.Name, z.Text)
				}
			}
			t.Logf("%d answers differ; rules changed %d", differ, matched)
			if matched < 100 {
				t.Errorf("rules changed %d answers only: the test proves little", matched)
			}
		})
	}
}

// Unbound with random local zones and data answers as we do.
func TestLocalZonesAgainstUnbound(t *testing.T) {
	if testing.Short() {
		t.Skip("starts another server")
	}
	kinds := []policy.LocalKind{
		policy.Transparent, policy.TypeTransparent, policy.Static, policy.Redirect, policy.LocalRefuse,
		policy.AlwaysTransparent, policy.AlwaysNXDomain, policy.AlwaysNoData, policy.AlwaysNull, policy.AlwaysRefuse,
	}
	r := rand.New(rand.NewPCG(5, 6))
	var lines []string
	var zones []policy.LocalZone
	var data []dns.Record
	seen := map[string]bool{}
	for range 14 {
		if name := ruleName(r); !seen[name] {
			seen[name] = true
			kind := kinds[r.IntN(len(kinds))]
			zones = append(zones, policy.LocalZone{Name: dns.MustName(name), Kind: kind})
			lines = append(lines, fmt.Sprintf("local-zone: %q %v", name+".", kind))
		}
	}
	zoneOver := func(name dns.Name) (best policy.LocalZone) {
		for _, z := range zones {
			if name.IsSubdomainOf(z.Name) && (best.Name.IsZero() || z.Name.Len() > best.Name.Len()) {
				best = z
			}
		}
		return best
	}
	for range 40 {
		text := fmt.Sprintf("%s. 300 IN %s", ruleName(r), []string{"A 192.0.2.1", "TXT x"}[r.IntN(2)])
		record := dns.MustRecord(text)
		z := zoneOver(record.Name)
		// Unbound takes no data below a zone that redirects, makes a zone for what is in none, which we have not, and uses
		// data in an always_null zone, of which its manual says that it does not.
		if z.Name.IsZero() || z.Kind == policy.AlwaysNull || z.Kind == policy.Redirect && record.Name != z.Name || seen[text] {
			continue
		}
		seen[text] = true
		data = append(data, record)
		lines = append(lines, fmt.Sprintf("local-data: '%s'", text))
	}
	local, err := policy.NewLocal(zones, data)
	if err != nil {
		t.Fatal(err)
	}
	server := peers.LocalZoneResolver(t, upstream(t), lines)
	differ, changed := 0, 0
	for range 500 {
		q := dns.Question{Name: dns.MustName(ruleName(r)), Type: []dns.Type{dns.TypeA, dns.TypeTXT}[r.IntN(2)], Class: dns.ClassIN}
		m := local.Ask([]byte(q.Name.Wire()), q.Type)
		reply := local.Reply(m, q.Name, q.Type)
		if m.Action == policy.None && q.Type == dns.TypeA {
			_, address := dns.NewAddr(upstreamAddr(q.Name))
			reply.Answer = []dns.Record{{Name: q.Name, Type: q.Type, Data: address}}
		} else if m.Action != policy.None {
			changed++
		}
		want := shown(reply.RCode, reply.Answer)
		if got := ask(t, netip.MustParseAddr("127.0.0.1"), server.Addr, q); got != want {
			if differ++; differ < 8 {
				t.Errorf("%v (zone %v): unbound says %s, we say %s", q, zoneOver(q.Name), got, want)
			}
		}
	}
	if differ > 0 {
		t.Logf("%d differ:\n%s", differ, strings.Join(lines, "\n"))
	}
	if changed < 100 {
		t.Errorf("rules changed %d answers only: the test proves little", changed)
	}
}
