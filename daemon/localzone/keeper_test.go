package localzone

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"onoma/authority"
	"onoma/authority/secondary"
	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/transport"
	"onoma/zone"
)

var origin = dns.MustName("home.")

func zoneText(serial int) string {
	return "$ORIGIN home.\n$TTL 60\n@ SOA ns host " + strconv.Itoa(serial) + " 1 1 3 60\n@ NS ns\nns A 192.0.2.1\nn" + strconv.Itoa(serial) + " A 192.0.2.2\n"
}

func version(t *testing.T, serial int) *zone.Version {
	t.Helper()
	v, findings, err := zone.Load(zonefile.NewReader(strings.NewReader(zoneText(serial)), zonefile.Options{}), origin)
	if err != nil {
		t.Fatal(err, findings)
	}
	return v
}

// rig is a Keeper of one zone, and what is answered from it.
type rig struct {
	*Keeper
	zone *zone.Zone
	bad  uint32 // the serial number of which copies are not good
}

func keep(t *testing.T, z Zone, dir string, bad uint32) *rig {
	t.Helper()
	r := &rig{zone: zone.New(origin), bad: bad}
	z.Served = r.zone
	r.Keeper = New(t.Context(), Options{
		Zones: []Zone{z}, Dir: dir, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Check: func(_ context.Context, v *zone.Version, _ bool) error {
			if v.Serial() == r.bad {
				return errors.New("not good")
			}
			return nil
		},
		Publish: func(z *zone.Zone, v *zone.Version) { z.Publish(v) },
	})
	return r
}

func (r *rig) serial() uint32 {
	if v := r.zone.Current(); v != nil {
		return v.Serial()
	}
	return 0
}

func (r *rig) expect(t *testing.T, what string, want uint32) {
	t.Helper()
	if got := r.serial(); got != want {
		t.Errorf("%s: serial number %d, expected %d", what, got, want)
	}
}

// become waits until that version is answered from.
func (r *rig) become(t *testing.T, want uint32) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); r.serial() != want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("serial number %d, expected %d: %+v", r.serial(), want, r.States())
		}
	}
}

func TestFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "home.zone")
	write := func(text string, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	write(zoneText(1), 3*time.Hour)
	r := keep(t, Zone{File: file}, "", 3)
	r.expect(t, "at first", 1)
	write(zoneText(2), 2*time.Hour)
	r.Reload(t.Context())
	r.expect(t, "a new one", 2)
	write(zoneText(3), time.Hour)
	r.Reload(t.Context())
	r.expect(t, "one that is not good", 2)
	write("no zone", time.Minute)
	r.Reload(t.Context())
	r.expect(t, "no zone at all", 2)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	r.Reload(t.Context())
	r.expect(t, "no file", 2)
}

// primary is a server of the zone on a loopback address; stop ends it.
func primary(t *testing.T, z *zone.Zone) (addr netip.AddrPort, stop func()) {
	t.Helper()
	everybody := authority.ACL{{Prefix: netip.MustParsePrefix("127.0.0.0/8")}}
	a := authority.New(authority.Options{Transfers: authority.TransferOptions{Allow: everybody}})
	a.AddZone(z)
	s, err := transport.Listen(transport.Config{Handler: a, Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.16.0.1:0")}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return s.Addrs()[0], func() { cancel() }
}

func TestTransfer(t *testing.T) {
	source, dir := zone.New(origin), t.TempDir()
	source.Publish(version(t, 1))
	addr, stop := primary(t, source)
	from := Zone{Primaries: []secondary.Primary{{Addr: addr, Proto: transport.TCP}}}
	ctx, cancel := context.WithCancel(t.Context())
	r := keep(t, from, dir, 2)
	r.expect(t, "nothing is there", 0)
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.become(t, 1)
	source.Publish(version(t, 2)) // not good
	time.Sleep(1200 * time.Millisecond)
	r.expect(t, "one that is not good", 1)
	source.Publish(version(t, 3))
	r.become(t, 3)
	cancel()
	<-done

	r = keep(t, from, dir, 0)
	r.expect(t, "after a restart", 3)
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	go func() { done <- r.Run(ctx) }()
	stop()
	r.become(t, 0) // nobody has confirmed it for three seconds
	cancel()
	<-done

	old := time.Now().Add(-time.Minute)
	if err := os.Chtimes(filepath.Join(dir, "home.zone"), old, old); err != nil {
		t.Fatal(err)
	}
	keep(t, from, dir, 0).expect(t, "an old copy", 0)
	keep(t, from, dir, 3).expect(t, "one that is not good", 0)
}

func TestRootPrimaries(t *testing.T) {
	if list := RootPrimaries(nil, 53); len(list) != 16 { // six of two families, and four
		t.Errorf("%d addresses: %v", len(list), list)
	}
}
