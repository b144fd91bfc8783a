package links

import (
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"onoma/dns"
)

// system is a root directory with files by name.
func system(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

const (
	wifi = "ADMIN_STATE=configured\nOPER_STATE=routable\nDNS=192.168.1.1 fe80::1 2001:db8::53#dns.example.net\nNTP=192.168.1.1\nDOMAINS=home.arpa\nDNS_DEFAULT_ROUTE=yes\n"
	vpn  = "OPER_STATE=routable\nDNS=10.0.0.53:5353 10.0.0.54\nDOMAINS=corp.example\nROUTE_DOMAINS=10.in-addr.arpa example.internal\nDNS_DEFAULT_ROUTE=no\n"
)

func TestPlan(t *testing.T) {
	own := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}
	for _, test := range []struct {
		what  string
		files map[string]string
		plan  string
		conf  string // search line
	}{
		{"a machine without a network", nil, "all names: nobody", ""},
		{"only /etc/resolv.conf", map[string]string{"etc/resolv.conf": "# a comment\nsearch a.example b.example\nnameserver 192.0.2.1\nnameserver 127.0.0.1\nnameserver 2001:db8::1\noptions edns0\n"},
			"all names: 192.0.2.1:53, [2001:db8::1]:53; a.example. 192.0.2.1:53, [2001:db8::1]:53; b.example. 192.0.2.1:53, [2001:db8::1]:53", "search a.example b.example"},
		{"ourselves in /etc/resolv.conf, others where the network manager has them",
			map[string]string{"etc/resolv.conf": "nameserver 127.0.0.1\n", "run/NetworkManager/resolv.conf": "nameserver 192.0.2.9\n"}, "all names: 192.0.2.9:53", ""},
		{"two links of networkd", map[string]string{"run/systemd/netif/links/2": wifi, "run/systemd/netif/links/5": vpn, "etc/resolv.conf": "nameserver 192.0.2.1\n"},
			"all names: 192.168.1.1:53, [fe80::1]:53, [2001:db8::53]:53#dns.example.net; home.arpa. 192.168.1.1:53, [fe80::1]:53, [2001:db8::53]:53#dns.example.net; 10.in-addr.arpa. 10.0.0.53:5353, 10.0.0.54:53; corp.example. 10.0.0.53:5353, 10.0.0.54:53; example.internal. 10.0.0.53:5353, 10.0.0.54:53",
			"search home.arpa corp.example"},
		{"a VPN that takes everything", map[string]string{"run/systemd/netif/links/2": wifi, "run/systemd/netif/links/5": strings.Replace(vpn, "ROUTE_DOMAINS=", "ROUTE_DOMAINS=. ", 1)},
			"all names: 10.0.0.53:5353, 10.0.0.54:53; home.arpa. 192.168.1.1:53, [fe80::1]:53, [2001:db8::53]:53#dns.example.net; 10.in-addr.arpa. 10.0.0.53:5353, 10.0.0.54:53; corp.example. 10.0.0.53:5353, 10.0.0.54:53; example.internal. 10.0.0.53:5353, 10.0.0.54:53", "search home.arpa corp.example"},
		{"resolvconf", map[string]string{"run/resolvconf/interface/eth0.dhclient": "domain office.example\nnameserver 198.51.100.1\n", "run/resolvconf/interface/lo.named": "nameserver 127.0.0.1\n"},
			"all names: 198.51.100.1:53; office.example. 198.51.100.1:53", "search office.example"},
	} {
		list, notes := Read(system(test.files), own)
		p := PlanOf(list)
		if got := p.String(); got != test.plan || len(notes) > 0 {
			t.Errorf("%s: %s %q\nexpected: %s", test.what, got, notes, test.plan)
		}
		conf := string(p.ResolvConf(own[0].Addr(), true))
		if !strings.Contains(conf, "nameserver 127.0.0.1\noptions edns0 trust-ad\n") || !strings.Contains(conf, test.conf) || test.conf == "" && strings.Contains(conf, "search") {
			t.Errorf("%s:\n%s", test.what, conf)
		}
		if again, _ := Read(system(test.files), own); !PlanOf(again).Equal(p) {
			t.Errorf("%s: the same files make another plan", test.what)
		}
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	list, notes := Read(system(map[string]string{
		"etc/resolv.conf": "nameserver somewhere\nnameserver 0.0.0.0\nnameserver 224.0.0.251\nnameserver 192.0.2.1\nsearch a..b example\nnameserver\n",
	}), nil)
	if len(notes) != 4 || len(list) != 1 || len(list[0].Servers) != 1 || len(list[0].Search) != 1 {
		t.Errorf("%+v\n%s", list, strings.Join(notes, "\n"))
	}
}

func FuzzRead(f *testing.F) {
	f.Add(wifi, "nameserver 192.0.2.1\nsearch example\n")
	f.Add(vpn, "domain .\n")
	f.Fuzz(func(t *testing.T, state, conf string) {
		list, notes := Read(system(map[string]string{"run/systemd/netif/links/2": state, "etc/resolv.conf": conf}), nil)
		if len(list) > maxLinks || len(notes) > maxLinks {
			t.Fatal("more than there may be")
		}
		p := PlanOf(list)
		for _, s := range p.Default {
			if !s.Addr.IsValid() {
				t.Errorf("%v is a server", s)
			}
		}
		// What is written for others can be read again.
		again, _ := Read(system(map[string]string{"etc/resolv.conf": string(p.ResolvConf(netip.MustParseAddr("127.0.0.53"), false))}), nil)
		if len(again) != 1 || len(again[0].Search) != len(p.Search) {
			for _, name := range p.Search {
				if name.String() != strings.ToLower(name.String()) || strings.ContainsAny(name.String(), `\"#;`) || name.Equal(dns.Root) {
					return // resolv.conf has no way to write it
				}
			}
			t.Errorf("%v became %+v", p.Search, again)
		}
	})
}
