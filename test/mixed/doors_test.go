package mixed

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/telemetry/control"
	"onoma/test/peers"
)

// door makes changes of one zone at the server that decides about it. A change that it returns an error for may have been made,
// or may not; making it again does no harm.
type door interface {
	change(ctx context.Context, c *change) error
}

// worker makes the changes of one zone, one after the other.
type worker struct {
	zone   string
	now    content
	random *rand.Rand
	door   door
	made   int
}

func newWorker(zone string, seed uint64) *worker {
	w := &worker{zone: zone, random: rand.New(rand.NewPCG(seed, seed))}
	w.now = newContent(zone, w.random)
	return w
}

// work makes so many changes, each until it is acknowledged.
func (w *worker) work(ctx context.Context, n int) error {
	for range n {
		c := w.now.next(w.zone, w.random)
		end := time.Now().Add(patience)
		for {
			err := w.door.change(ctx, &c)
			if err == nil {
				break
			}
			if time.Now().After(end) {
				return fmt.Errorf("zone %s: change %d is not made: %w", w.zone, w.made, err)
			}
			time.Sleep(10 * time.Millisecond) // the server is being restarted
		}
		w.now = c.after
		w.made++
	}
	return nil
}

// updateDoor is RFC 2136, signed or not.
type updateDoor struct {
	zone   string
	addr   netip.AddrPort
	signer *peers.Key
}

func (d *updateDoor) change(ctx context.Context, c *change) error {
	m := new(dns.Msg).SetUpdate(d.zone)
	for _, name := range c.remove {
		m.RemoveName([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: name}}})
	}
	for _, l := range c.add {
		rr, err := dns.NewRR(l)
		if err != nil {
			return err
		}
		m.Insert([]dns.RR{rr})
	}
	client := dns.Client{Timeout: time.Second}
	if m.Len() > 1200 {
		client.Net = "tcp"
	}
	if d.signer != nil {
		client.TsigSecret = map[string]string{d.signer.Name: d.signer.Secret}
		m.SetTsig(d.signer.Name, dns.HmacSHA256, 300, time.Now().Unix())
	}
	r, _, err := client.ExchangeContext(ctx, m, d.addr.String())
	if err == nil && r.Rcode != dns.RcodeSuccess {
		err = fmt.Errorf("UPDATE is answered with %s: %v", dns.RcodeToString[r.Rcode], r)
	}
	return err
}

// toolDoor is nsupdate or knsupdate.
type toolDoor struct {
	tool, zone string
	addr       netip.AddrPort
}

func (d *toolDoor) change(ctx context.Context, c *change) error {
	var b strings.Builder
	fmt.Fprintf(&b, "server %s %d\nzone %s\n", d.addr.Addr(), d.addr.Port(), d.zone)
	for _, name := range c.remove {
		fmt.Fprintf(&b, "update delete %s\n", name)
	}
	for _, l := range c.add {
		fmt.Fprintf(&b, "update add %s\n", l)
	}
	b.WriteString("send\n")
	cmd := exec.CommandContext(ctx, d.tool)
	cmd.Stdin = strings.NewReader(b.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s\n%s", d.tool, err, out, b.String())
	}
	return nil
}

// apiDoor is the control socket. It wants what it removes to be there, so that a change that is in doubt must be looked for.
type apiDoor struct {
	*node
	zone  string
	doubt bool
}

func (d *apiDoor) change(ctx context.Context, c *change) error {
	if d.doubt {
		_, lines, err := transfer(d.Addr, d.zone, nil)
		if err != nil {
			return err
		}
		before, _ := c.before.records()
		after, _ := c.after.records()
		switch {
		case slices.Equal(lines, after):
			d.doubt = false
			return nil
		case !slices.Equal(lines, before):
			return fmt.Errorf("a change is half there: the zone has\n%s", strings.Join(lines, "\n"))
		}
	}
	r, err := d.Ctl.Zone(d.zone, "").Change(ctx, control.ChangeRequest{Remove: c.remove, Add: c.add, Comment: "mixed"})
	d.doubt = err != nil
	if err == nil && !r.Changed && len(c.add)+len(c.remove) > 0 && !same(c) {
		return fmt.Errorf("the change is acknowledged as no change")
	}
	return err
}

func same(c *change) bool {
	before, _ := c.before.records()
	after, _ := c.after.records()
	return slices.Equal(before, after)
}

// mixedDoor takes one of several doors for each change, and now and then rolls the zone back.
type mixedDoor struct {
	*node
	zone     string
	random   *rand.Rand
	doors    []door
	versions map[uint64]content
	taken    door // for a change that is not made yet
	back     uint64
	rollback int
}

func (d *mixedDoor) change(ctx context.Context, c *change) error {
	if d.taken == nil && d.back == 0 {
		d.choose()
	}
	z := d.Ctl.Zone(d.zone, "")
	if d.back != 0 {
		if _, err := z.Rollback(ctx, control.RollbackRequest{Version: d.back}); err != nil {
			return err
		}
		c.after = d.versions[d.back]
		d.rollback++
	} else if err := d.taken.change(ctx, c); err != nil {
		return err
	}
	log, err := z.Log(ctx, 0, 1)
	if err != nil {
		return err // the same door again: it does no harm
	}
	d.versions[log[0].Number] = c.after
	d.taken, d.back = nil, 0
	return nil
}

func (d *mixedDoor) choose() {
	if len(d.versions) > 3 && d.random.IntN(8) == 0 {
		numbers := make([]uint64, 0, len(d.versions))
		for n := range d.versions {
			numbers = append(numbers, n)
		}
		slices.Sort(numbers)
		numbers = numbers[max(0, len(numbers)-20):]
		d.back = numbers[d.random.IntN(len(numbers))]
		return
	}
	d.taken = d.doors[d.random.IntN(len(d.doors))]
}

// fileDoor is a zone file, which onoma is told to read again.
type fileDoor struct {
	*node
	t    *testing.T
	zone string
}

func (d *fileDoor) change(ctx context.Context, c *change) error {
	d.Write(d.t, d.zone+"zone", c.after.text(d.zone, 1)) // the server sees to serial numbers
	done, err := d.Ctl.Reload(ctx, d.zone)
	if err == nil && len(done) == 1 && done[0].Error != "" {
		err = fmt.Errorf("the file is refused: %s", done[0].Error)
	}
	return err
}

// signalDoor is a zone file of NSD, which reads it again when it gets SIGHUP.
type signalDoor struct {
	*peers.Server
	zone, file string
	serial     int
}

func (d *signalDoor) change(_ context.Context, c *change) error {
	d.serial++
	if err := os.WriteFile(d.file+".new", []byte(c.after.text(d.zone, d.serial)), 0o644); err != nil {
		return err
	}
	if err := os.Rename(d.file+".new", d.file); err != nil {
		return err
	}
	if err := syscall.Kill(d.PID(), syscall.SIGHUP); err != nil {
		return err
	}
	for range 200 {
		if s, _ := serial(d.Addr, d.zone); s == uint32(d.serial) {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("NSD does not read version %d", d.serial)
}
