package authority

import (
	"testing"
	"time"

	"onoma/dns"
)

// TestExpireOfASignedZone: RFC 7314, and nobody serves signatures longer than they hold.
func TestExpireOfASignedZone(t *testing.T) {
	const text = "@ 3600 SOA ns1 hostmaster 1 7200 900 1000000 300\n@ NS ns1\nns1 A 192.0.2.1\n"
	for _, c := range []struct {
		what   string
		signed time.Duration // from now; 0: not signed here
		left   time.Duration // of a secondary; 0: a primary
		want   time.Duration
	}{
		{"unsigned", 0, 0, 1_000_000 * time.Second},
		{"signatures that last", 30 * 24 * time.Hour, 0, 1_000_000 * time.Second},
		{"signatures that end before", 24 * time.Hour, 0, 24 * time.Hour},
		{"a secondary that signs", 24 * time.Hour, 2 * time.Hour, 2 * time.Hour},
		{"a secondary whose signatures end before", time.Hour, 2 * time.Hour, time.Hour},
		{"signatures that have expired", -time.Hour, 0, 0},
	} {
		s := serve(t, Options{
			Expires:     func(string, dns.Name) (time.Duration, bool) { return c.left, c.left != 0 },
			SignedUntil: func(string, dns.Name) (time.Time, bool) { return time.Now().Add(c.signed), c.signed != 0 },
		}, load(t, "example.", text))
		m := ask(t, s, "example. SOA option=9")
		o, ok := m.EDNS.Option(dns.OptionExpire)
		got, _, err := o.Expire()
		if !ok || err != nil {
			t.Fatalf("%s: no EXPIRE option: %v", c.what, err)
		}
		if want := uint32(c.want / time.Second); got > want || got+30 < want {
			t.Errorf("%s: EXPIRE is %d, expected %d", c.what, got, want)
		}
	}
}
