package update

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/test/peers"
)

// policyCases are rules in BIND's words and in ours, and requests that both decide about. Z is the zone. A request is signed
// with the key that its first word names, or with none for -.
var policyCases = []struct {
	bind, ours string
	requests   map[string]string // and their response codes
}{
	{"grant k zonesub ANY;", "grant key:k zonesub ANY", map[string]string{
		"- do IN 60 A new 192.0.2.9": "REFUSED", "k do IN 60 A new 192.0.2.9": "NOERROR", "h.Z do IN 60 A new 192.0.2.9": "REFUSED",
		"k do IN 60 NS sub ns.sub": "NOERROR", "k do ANY 0 ANY @": "NOERROR",
	}},
	{"grant k zonesub;", "grant key:k zonesub", map[string]string{
		"k do IN 60 A new 192.0.2.9": "NOERROR", "k do IN 60 NS sub ns2.sub": "REFUSED", "k do IN 60 SOA @ a b 99 1 1 1 1": "REFUSED",
	}},
	{"grant k name www.Z A;", "grant key:k name www.Z A", map[string]string{
		"k do IN 60 A www 192.0.2.9": "NOERROR", "k do IN 60 A x.www 192.0.2.9": "REFUSED", "k do IN 60 TXT www x": "REFUSED",
		"k do ANY 0 A www": "NOERROR", "k do ANY 0 ANY www": "REFUSED", "k need ANY ANY none": "NXDOMAIN",
	}},
	{"grant k subdomain a.b.c.Z ANY;", "grant key:k subdomain a.b.c.Z ANY", map[string]string{
		"k do IN 60 A x.a.b.c 192.0.2.9": "NOERROR", "k do ANY 0 ANY a.b.c": "NOERROR", "k do IN 60 A b.c 192.0.2.9": "REFUSED",
	}},
	{"deny k name www.Z A; grant k zonesub A TXT;", "deny key:k name www.Z A\ngrant key:k zonesub A TXT", map[string]string{
		"k do IN 60 A www 192.0.2.9": "REFUSED", "k do IN 60 TXT www x": "NOERROR", "k do ANY 0 ANY www": "REFUSED", "k do NONE 0 A one 192.0.2.6": "NOERROR",
	}},
	{"grant k wildcard *.wild.Z TXT;", "grant key:k wildcard *.wild.Z TXT", map[string]string{
		"k do IN 60 TXT x.wild x": "NOERROR", "k do IN 60 TXT x.y.wild x": "NOERROR", "k do IN 60 TXT wild x": "REFUSED", "k do ANY 0 TXT *.wild": "NOERROR",
	}},
	{"grant * self * A;", "grant signed self A", map[string]string{
		"h.Z do IN 60 A h 192.0.2.9": "NOERROR", "h.Z do IN 60 A x.h 192.0.2.9": "REFUSED", "k do IN 60 A h 192.0.2.9": "REFUSED",
	}},
	{"grant * selfsub * A;", "grant signed selfsub A", map[string]string{
		"h.Z do IN 60 A h 192.0.2.9": "NOERROR", "h.Z do IN 60 A x.h 192.0.2.9": "NOERROR", "h.Z do IN 60 A www 192.0.2.9": "REFUSED",
	}},
	{"grant * selfwild * A;", "grant signed selfwild A", map[string]string{
		"h.Z do IN 60 A h 192.0.2.9": "REFUSED", "h.Z do IN 60 A x.h 192.0.2.9": "NOERROR",
	}},
	{"grant *.Z zonesub A;", "grant key:*.Z zonesub A", map[string]string{
		"h.Z do IN 60 A new 192.0.2.9": "NOERROR", "k do IN 60 A new 192.0.2.9": "REFUSED",
	}},
}

// TestPolicyOfBIND has BIND and a server of ours decide about the same requests by the same rules.
func TestPolicyOfBIND(t *testing.T) {
	peers.Need(t, "named")
	dir, text := t.TempDir(), zoneText(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	ours := s.listen(t)
	keys := []peers.Key{{Name: "k.", Secret: secret}}
	secrets := []dns.TSIGKey{{Name: dns.MustName("k."), Algorithm: dns.HMACSHA256, Secret: raw}}
	policies := make(map[string]string)
	var zones peers.Zones
	for i, c := range policyCases {
		origin := caseZone(i).String()
		file := filepath.Join(dir, fmt.Sprint("z", i))
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		zones = append(zones, peers.Zone{Name: origin, File: file})
		host := "h." + origin
		keys = append(keys, peers.Key{Name: host, Secret: secret})
		secrets = append(secrets, dns.TSIGKey{Name: dns.MustName(host), Algorithm: dns.HMACSHA256, Secret: raw})
		policies[origin] = inZone(c.bind, origin)
		s.add(t, origin, text, inZone(c.ours, origin))
	}
	s.keys.Set(secrets)
	bind := peers.StartUpdatableBIND(t, zones, peers.BIND.Addr(t), policies, keys...)
	for i, c := range policyCases {
		origin := caseZone(i)
		for request, want := range c.requests {
			key, request, _ := strings.Cut(request, " ")
			msg := (&testCase{title: request, lines: []string{request}}).message(t, origin)
			if key != "-" {
				name := dns.MustName(inZone(key, origin.String()))
				msg, _, err = dns.SignTSIG(msg, dns.TSIGKey{Name: name, Algorithm: dns.HMACSHA256, Secret: raw}, time.Now(), nil)
				if err != nil {
					t.Fatal(err)
				}
			}
			for server, addr := range map[string]netip.AddrPort{"onoma": ours, "BIND": bind.Addr} {
				if got := exchange(t, addr, msg); got != want {
					t.Errorf("%s: %s %s: %s says %s, expected %s", c.bind, key, request, server, got, want)
				}
			}
		}
	}
}

// inZone puts a zone's name in place of Z.
func inZone(text, origin string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' })
	for i, w := range words {
		if w == "Z" || strings.HasSuffix(w, ".Z") {
			words[i] = strings.TrimSuffix(w, "Z") + origin
		}
	}
	return strings.Join(words, " ")
}
