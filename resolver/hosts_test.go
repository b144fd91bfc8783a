package resolver

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onoma/dns"
)

func TestHostsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hosts")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("127.0.0.1 localhost\n192.0.2.200 printer Printer.Lan # by the door\n2001:db8::5 printer\n999.1.1.1 evil\n198.51.100.77 www.example.com\n")
	var log lines
	inWorld(t, Config{HostsFile: file, Log: slog.New(slog.NewTextHandler(&log, nil))}, "www A 198.51.100.1\nalias CNAME printer.lan.", func(t *testing.T, w *world) {
		ask := func(name string, typ dns.Type) string { return text(w.ask(query(name, typ, 0, false))) }
		expect(t, "A", ask("PRINTER.", dns.TypeA), "NOERROR qr,rd,ra PRINTER. 60 A 192.0.2.200;")
		expect(t, "AAAA", ask("printer.", dns.TypeAAAA), "NOERROR qr,rd,ra printer. 60 AAAA 2001:db8::5;")
		expect(t, "no AAAA", ask("printer.lan.", dns.TypeAAAA), "NOERROR qr,rd,ra")
		expect(t, "PTR", ask("200.2.0.192.in-addr.arpa.", dns.TypePTR), "NOERROR qr,rd,ra 200.2.0.192.in-addr.arpa. 60 PTR printer.;")
		expect(t, "it wins over the DNS", ask("www.example.com.", dns.TypeA), "NOERROR qr,rd,ra www.example.com. 60 A 198.51.100.77;")
		if n := w.asked(); n != 0 {
			t.Errorf("%d packets were sent", n)
		}
		expect(t, "at the end of an alias", ask("alias.example.com.", dns.TypeA),
			"NOERROR qr,rd,ra alias.example.com. 3600 CNAME printer.lan.; printer.lan. 60 A 192.0.2.200;")
		if !strings.Contains(log.String(), `999.1.1.1`) {
			t.Errorf("the bad line is not in the log: %s", log.String())
		}
		write("192.0.2.201 printer\n")
		if err := os.Chtimes(file, time.Time{}, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		expect(t, "read again", ask("printer.", dns.TypeA), "NOERROR qr,rd,ra printer. 60 A 192.0.2.201;")
		expect(t, "what is gone", ask("www.example.com.", dns.TypeA), "NOERROR qr,rd,ra www.example.com. 3594 A 198.51.100.1;")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		expect(t, "without the file the last version holds", ask("printer.", dns.TypeA), "NOERROR qr,rd,ra printer. 54 A 192.0.2.201;")
	})
}

func TestNewWithoutHostsFile(t *testing.T) {
	if _, err := New(Config{HostsFile: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a hosts file that is not there was accepted")
	}
}

func TestSpecialNames(t *testing.T) {
	inWorld(t, Config{}, "l CNAME foo.localhost.\no CNAME x.onion.", func(t *testing.T, w *world) {
		ask := func(name string, typ dns.Type) string { return text(w.ask(query(name, typ, 0, false))) }
		expect(t, "localhost", ask("localhost.", dns.TypeA), "NOERROR qr,rd,ra localhost. 10800 A 127.0.0.1;")
		expect(t, "onion", ask("facebook.onion.", dns.TypeA),
			"NXDOMAIN qr,rd,ra | onion. 10800 SOA onion. nobody.invalid. 1 3600 1200 604800 10800;")
		if n := w.asked(); n != 0 {
			t.Errorf("%d packets were sent", n)
		}
		if got := ask("o.example.com.", dns.TypeA); !strings.HasPrefix(got, "NXDOMAIN qr,rd,ra o.example.com. 3600 CNAME x.onion.; |") {
			t.Errorf("alias to onion: %s", got)
		}
		for _, p := range w.Sent() {
			if p.Question.Name.IsSubdomainOf(dns.MustName("onion.")) {
				t.Errorf("%s left the resolver", p.Question)
			}
		}
	})
}
