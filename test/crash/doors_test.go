package crash

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/authority"
	onoma "onoma/dns"
	"onoma/dns/zonefile"
	"onoma/telemetry/control"
	"onoma/transport"
	"onoma/zone"
)

// door changes a zone, pair by pair.
type door interface {
	book() *account
	// change makes one change and reports whether it was acknowledged. Its error is
	// something that must not happen.
	change(ctx context.Context, i int) (acked bool, err error)
}

// work changes a zone until stop, and looks at what is served in between.
func work(d door, stop <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	b := d.book()
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		i := b.next()
		acked, err := d.change(ctx, i)
		if err != nil {
			return fmt.Errorf("zone %s: change %d: %w", b.zone, i, err)
		}
		if !acked {
			time.Sleep(time.Millisecond) // the server is gone, or about to be
			continue
		}
		b.acked(i)
	}
}

func left(i int) string  { return fmt.Sprintf("left%d", i) }
func right(i int) string { return fmt.Sprintf("right%d", i) }

// still is how many names of a zone never change, so that a difference, signatures and all, is always smaller than the zone.
const still = 300

// zoneText is a zone with some pairs.
func zoneText(serial int, pairs []int) string {
	var w strings.Builder
	fmt.Fprintf(&w, "$TTL 60\n@ SOA ns hostmaster %d 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n", serial)
	for i := range still {
		fmt.Fprintf(&w, "still%d A 192.0.2.2\n", i)
	}
	for _, i := range pairs {
		fmt.Fprintf(&w, "%s A 192.0.2.1\n%s TXT \"%d\"\n", left(i), right(i), i)
	}
	return w.String()
}

// updateDoor is RFC 2136.
type updateDoor struct {
	*account
	*node
}

func (d *updateDoor) change(ctx context.Context, i int) (bool, error) {
	m := new(dns.Msg).SetUpdate(d.zone)
	var rrs []dns.RR
	for _, text := range []string{left(i) + "." + d.zone + " 60 A 192.0.2.1", fmt.Sprintf("%s.%s 60 TXT \"%d\"", right(i), d.zone, i)} {
		r, err := dns.NewRR(text)
		if err != nil {
			return false, err
		}
		rrs = append(rrs, r)
	}
	m.Insert(rrs)
	c := dns.Client{Timeout: 500 * time.Millisecond}
	r, _, err := c.ExchangeContext(ctx, m, d.Addr.String())
	if err != nil {
		return false, nil
	}
	if r.Rcode != dns.RcodeSuccess {
		return false, fmt.Errorf("refused: %s", dns.RcodeToString[r.Rcode])
	}
	if serial, err := d.serial(d.zone); err == nil {
		return true, d.note(serial)
	}
	return true, nil
}

// apiDoor is the control socket.
type apiDoor struct {
	*account
	*node
}

func (d *apiDoor) change(ctx context.Context, i int) (bool, error) {
	r, err := d.Ctl.Zone(d.zone, "").Change(ctx, control.ChangeRequest{
		Add: []string{left(i) + " 60 A 192.0.2.1", fmt.Sprintf("%s 60 TXT \"%d\"", right(i), i)}, Comment: fmt.Sprintf("pair %d", i),
	})
	if err != nil {
		return false, nil
	}
	return true, d.note(r.Serial)
}

// fileDoor is a zone file. A change that is in doubt stays in it.
type fileDoor struct {
	*account
	*node
	pairs []int
}

func (d *fileDoor) change(ctx context.Context, i int) (bool, error) {
	d.pairs = append(d.pairs, i)
	// The serial number stays 1: the server sees to it.
	if err := d.Replace("f", zoneText(1, d.pairs)); err != nil {
		return false, err
	}
	done, err := d.Ctl.Reload(ctx, d.zone)
	if err != nil || len(done) != 1 {
		return false, nil
	}
	if done[0].Error != "" {
		return false, fmt.Errorf("refused: %s", done[0].Error)
	}
	for _, earlier := range d.pairs[:len(d.pairs)-1] {
		if d.may[earlier] {
			d.acked(earlier)
		}
	}
	return true, d.note(done[0].Serial)
}

// transferDoor is a primary, in this process. It goes on while the server is gone.
type transferDoor struct {
	*account
	*node
	primary  *zone.Zone
	notifier *authority.Notifier
}

func newTransferDoor(t *testing.T, n *node, name string) *transferDoor {
	t.Helper()
	origin := onoma.MustName(name)
	d := &transferDoor{account: newAccount(name), node: n, primary: zone.New(origin)}
	d.primary.Keep(zone.NewHistory(zone.HistoryLimits{Steps: 1 << 20, Octets: 1 << 30}))
	v, _, err := zone.Load(zonefile.NewReader(strings.NewReader(zoneText(1, nil)), zonefile.Options{Origin: origin}), origin)
	if err != nil {
		t.Fatal(err)
	}
	d.primary.Publish(v)
	server := authority.New(authority.Options{Transfers: authority.TransferOptions{Of: func(onoma.Name) authority.ACL { return authority.ACL{{}} }}})
	server.AddZone(d.primary)
	s, err := transport.Listen(transport.Config{Handler: server, Addrs: []netip.AddrPort{n.primary}})
	if err != nil {
		t.Fatal(err)
	}
	d.notifier = authority.NewNotifier(authority.NotifyOptions{To: []authority.Secondary{{Addr: n.Addr}}, From: []netip.Addr{n.primary.Addr()}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- s.Serve(ctx) }()
	go func() { ended <- d.notifier.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return d
}

// change makes a change at the primary, and waits a little for the server to have it.
func (d *transferDoor) change(ctx context.Context, i int) (bool, error) {
	v, err := d.primary.Update(func(e *zone.Editor) error {
		soa := d.primary.Current().SOA().First()
		next := append([]byte(nil), soa...)
		onoma.SetSOASerial(next, onoma.SOASerial(soa)+1)
		for _, r := range []onoma.Record{
			{Name: d.primary.Origin(), Type: onoma.TypeSOA, Class: onoma.ClassIN, TTL: 60, Data: next},
			{Name: mustChild(d.primary.Origin(), left(i)), Type: onoma.TypeA, Class: onoma.ClassIN, TTL: 60, Data: onoma.RData{192, 0, 2, 1}},
			{Name: mustChild(d.primary.Origin(), right(i)), Type: onoma.TypeTXT, Class: onoma.ClassIN, TTL: 60, Data: onoma.NewTXT(fmt.Sprint(i))},
		} {
			if _, err := e.Add(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	d.notifier.Publish(d.primary)
	for range 20 {
		serial, err := d.serial(d.zone)
		if err == nil {
			if err := d.note(serial); err != nil {
				return false, err
			}
			if serial == v.Serial() {
				for earlier := range d.may {
					if earlier < i {
						d.acked(earlier)
					}
				}
				return true, nil // what is served is on the disk
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
	return false, nil
}

func mustChild(origin onoma.Name, label string) onoma.Name {
	n, err := origin.Child(label)
	if err != nil {
		panic(err)
	}
	return n
}
