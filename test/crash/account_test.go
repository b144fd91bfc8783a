package crash

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

var errNotServed = errors.New("the zone is not served")

// account is what is known of one zone: what must be there, and what may be.
type account struct {
	zone string
	last int          // number of the last change that was begun
	must map[int]bool // acknowledged
	may  map[int]bool // in doubt: its acknowledgement has not come

	seen     uint32          // the highest serial number that was served
	verified uint32          // serial number of
	content  map[string]bool // what was there at the last look

	acknowledged, doubtful int
}

func newAccount(zone string) *account {
	return &account{zone: zone, must: make(map[int]bool), may: make(map[int]bool)}
}

func (a *account) book() *account { return a }

// next begins a change.
func (a *account) next() int {
	a.last++
	a.may[a.last] = true
	a.doubtful++
	return a.last
}

// acked notes that a change has been acknowledged.
func (a *account) acked(i int) {
	delete(a.may, i)
	a.must[i] = true
	a.acknowledged++
	a.doubtful--
}

// note takes a serial number that was served.
func (a *account) note(serial uint32) error {
	if int32(serial-a.seen) < 0 {
		return fmt.Errorf("serial number %d is served, and %d was before", serial, a.seen)
	}
	a.seen = serial
	return nil
}

// verify holds the server to what it has acknowledged.
func (a *account) verify(n *node) error {
	records, serial, err := a.transfer(n)
	if err != nil {
		return fmt.Errorf("AXFR: %w", err)
	}
	if err := a.note(serial); err != nil {
		return err
	}
	if err := a.pairs(records); err != nil {
		return err
	}
	return a.increment(n, records, serial)
}

// pairs looks for every change, both halves of it.
func (a *account) pairs(records map[string]bool) error {
	halves := make(map[int]int)
	for r := range records {
		for half, prefix := range map[int]string{1: "left", 2: "right"} {
			var i int
			if name, _, _ := strings.Cut(r, "."); strings.HasPrefix(name, prefix) {
				if _, err := fmt.Sscanf(name, prefix+"%d", &i); err == nil {
					halves[i] |= half
				}
			}
		}
	}
	for i := range a.must {
		if halves[i] == 0 {
			return fmt.Errorf("change %d was acknowledged and is lost", i)
		}
	}
	for i, have := range halves {
		switch {
		case have != 3:
			return fmt.Errorf("of change %d one half is there alone", i)
		case !a.must[i] && !a.may[i]:
			return fmt.Errorf("change %d is there, which nobody has made", i)
		}
		// What is there once must stay.
		if a.may[i] {
			delete(a.may, i)
			a.must[i] = true
		}
	}
	return nil
}

// increment fetches what has changed since the last look, and compares.
func (a *account) increment(n *node, records map[string]bool, serial uint32) error {
	before, from := a.content, a.verified
	a.content, a.verified = records, serial
	if before == nil || from == serial {
		return nil
	}
	all, to, err := a.ask(n, from)
	if err != nil {
		return fmt.Errorf("IXFR from %d: %w", from, err)
	}
	after, err := apply(before, all)
	if err != nil {
		return fmt.Errorf("IXFR from %d to %d: %w", from, to, err)
	}
	if after == nil {
		return fmt.Errorf("IXFR from %d to %d was answered with the whole zone: its history is lost", from, to)
	}
	// The zone may have gone on since.
	if to == serial && !maps.Equal(after, records) {
		return fmt.Errorf("IXFR from %d to %d leads to %d records, AXFR has %d", from, to, len(after), len(records))
	}
	return nil
}

// transfer fetches the whole zone.
func (a *account) transfer(n *node) (map[string]bool, uint32, error) {
	all, serial, err := a.ask(n, 0)
	if err != nil {
		return nil, 0, err
	}
	out := make(map[string]bool, len(all))
	for _, r := range all[:len(all)-1] {
		out[r.String()] = true
	}
	return out, serial, nil
}

// ask asks for the zone, or for what has changed since a serial number.
func (a *account) ask(n *node, from uint32) (all []dns.RR, serial uint32, err error) {
	q := new(dns.Msg).SetAxfr(a.zone)
	if from != 0 {
		q.SetIxfr(a.zone, from, ".", ".")
	}
	ch, err := new(dns.Transfer).In(q, n.Addr.String())
	if err != nil {
		return nil, 0, err
	}
	for e := range ch {
		if e.Error != nil {
			return nil, 0, e.Error
		}
		all = append(all, e.RR...)
	}
	if len(all) < 2 {
		return nil, 0, fmt.Errorf("%d records", len(all))
	}
	return all, all[0].(*dns.SOA).Serial, nil
}

// apply makes the changes of an IXFR's answer; nil where that is a whole zone.
func apply(content map[string]bool, all []dns.RR) (map[string]bool, error) {
	if _, ok := all[1].(*dns.SOA); !ok {
		return nil, nil
	}
	out := maps.Clone(content)
	removing := false
	for _, r := range slices.Clone(all[1 : len(all)-1]) {
		if r.Header().Rrtype == dns.TypeSOA {
			removing = !removing
		}
		text := r.String()
		switch {
		case removing && !out[text]:
			return nil, fmt.Errorf("it removes %s, which was not there", text)
		case removing:
			delete(out, text)
		default:
			out[text] = true
		}
	}
	return out, nil
}
