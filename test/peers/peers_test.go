package peers

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// someZone writes a small zone and returns it.
func someZone(t *testing.T) Zone {
	t.Helper()
	file := filepath.Join(t.TempDir(), "some.test.zone")
	text := "some.test. 3600 IN SOA ns1.some.test. admin.some.test. 1 7200 3600 1209600 300\n" +
		"some.test. 3600 IN NS ns1.some.test.\nns1.some.test. 3600 IN A 192.0.2.1\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return Zone{Name: "some.test.", File: file}
}

func TestPeersServeAndEnd(t *testing.T) {
	for _, p := range All {
		t.Run(p.Name, func(t *testing.T) {
			Need(t, p.Binary)
			if p.Version() == "" {
				t.Errorf("%s told no version", p.Name)
			}
			var s *Server
			t.Run("runs", func(t *testing.T) {
				s = p.Start(t, Zones{someZone(t)}, p.Addr(t))
				if !s.Serves("some.test.") || s.Serves("other.test.") {
					t.Errorf("%s serves other zones than some.test", p.Name)
				}
			})
			if s != nil && (s.Alive() || s.Serves("some.test.")) {
				t.Errorf("%s outlived its test", p.Name)
			}
		})
	}
}

// TestResolversResolve gives each resolver a root of one peer in a network of their own, where port 53 is ours.
func TestResolversResolve(t *testing.T) {
	if !InOwnNetwork(t) {
		return
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	zone := write("root.zone", ". 3600 IN SOA a.root. admin.root. 1 7200 3600 1209600 300\n. 3600 IN NS a.root.\n"+
		"a.root. 3600 IN A 127.53.0.1\nhello.example. 3600 IN TXT \"from the root\"\n")
	hints := write("root.hints", ". 3600 IN NS a.root.\na.root. 3600 IN A 127.53.0.1\n")
	NSD.Start(t, Zones{{Name: ".", File: zone}}, At(t, "127.53.0.1:53"))
	for _, r := range Resolvers {
		t.Run(r.Name, func(t *testing.T) {
			s := r.Start(t, hints, r.Addr(t))
			q := new(dns.Msg)
			q.SetQuestion("hello.example.", dns.TypeTXT)
			client := dns.Client{Timeout: 5 * time.Second}
			resp, _, err := client.Exchange(q, s.Addr.String())
			if err != nil {
				t.Fatal(err)
			}
			if len(resp.Answer) != 1 {
				t.Errorf("%s did not resolve hello.example TXT:\n%v", r.Name, resp)
			}
		})
	}
}
