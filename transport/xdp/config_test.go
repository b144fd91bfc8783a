package xdp

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseListener(t *testing.T) {
	addr := func(s string) []netip.Addr { return []netip.Addr{netip.MustParseAddr(s)} }
	for text, want := range map[string]Config{
		"xdp://eth0":                                {Interface: "eth0", Port: 53},
		"xdp://eth0.5:5300":                         {Interface: "eth0.5", Port: 5300},
		"xdp://eth0?addr=2001:db8::1":               {Interface: "eth0", Port: 53, Addrs: addr("2001:db8::1")},
		"xdp://eth0:53?mode=generic&fallback=off":   {Interface: "eth0", Port: 53, Mode: Generic, Strict: true},
		"xdp://eth0:53?mode=native&addr=192.0.2.53": {Interface: "eth0", Port: 53, Mode: Native, Addrs: addr("192.0.2.53")},
	} {
		got, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmpopts.IgnoreFields(Config{}, "Sockets")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{
		"eth0", "xdp://", "xdp://:53", "xdp://eth0:0", "xdp://eth0:dns", "xdp://eth0:65536", "xdp://eth0/1", "xdp://eth0?addr=x",
		"xdp://eth0?mode=fast", "xdp://eth0?fallback=yes", "xdp://eth0?queue=1", "xdp://eth0?%zz",
	} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

func TestUnknownInterface(t *testing.T) {
	if _, err := Listen(Config{Interface: "no-such-device"}); err == nil {
		t.Error("no error")
	}
}
