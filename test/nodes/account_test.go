package nodes

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"onoma/telemetry/control"
)

// account is what is known of one zone, whichever node it was changed at. Each
// change adds a pair of records.
type account struct {
	zone string

	mu       sync.Mutex
	last     int
	must     map[int]bool      // acknowledged
	may      map[int]bool      // begun
	contents map[uint32]uint64 // a hash of what each serial number stands for

	earlier       map[string]bool // a content of before, for IXFR
	earlierSerial uint32
}

func newAccount(zone string) *account {
	return &account{zone: zone, must: make(map[int]bool), may: make(map[int]bool), contents: make(map[uint32]uint64)}
}

func (a *account) begin() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	a.may[a.last] = true
	return a.last
}

func (a *account) acked(i int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.must[i] = true
}

// acknowledged counts changes.
func (a *account) acknowledged() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.must)
}

// pair is the records of a change.
func (a *account) pair(i int) []string {
	return []string{fmt.Sprintf("left%d.%s 60 IN A 192.0.2.1", i, a.zone), fmt.Sprintf("right%d.%s 60 IN TXT \"%d\"", i, a.zone, i)}
}

// verify holds a content to what was acknowledged, and its serial number to the
// content that it stood for before.
func (a *account) verify(records map[string]bool, serial uint32) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	sum := fnv.New64()
	for _, r := range slices.Sorted(maps.Keys(records)) {
		fmt.Fprintln(sum, r)
	}
	if had, ok := a.contents[serial]; ok && had != sum.Sum64() {
		return fmt.Errorf("serial number %d stands for two contents", serial)
	}
	a.contents[serial] = sum.Sum64()
	halves := make(map[int]int)
	for r := range records {
		name, _, _ := strings.Cut(r, ".")
		for half, prefix := range map[int]string{1: "left", 2: "right"} {
			var i int
			if _, err := fmt.Sscanf(name, prefix+"%d", &i); err == nil {
				halves[i] |= half
			}
		}
	}
	for i, have := range halves {
		switch {
		case have != 3:
			return fmt.Errorf("of change %d one half is there alone", i)
		case !a.may[i]:
			return fmt.Errorf("change %d is there, which nobody has made", i)
		}
	}
	for i := range a.must {
		if halves[i] == 0 {
			return fmt.Errorf("change %d was acknowledged and is not there", i)
		}
	}
	return nil
}

// door changes a zone at a node.
type door func(ctx context.Context, a *account, i int) error

// byUpdate is RFC 2136.
func byUpdate(n *node) door {
	return func(_ context.Context, a *account, i int) error {
		return n.update(300*time.Millisecond, a.zone, a.pair(i)...)
	}
}

// byControl is the control socket.
func byControl(n *node) door {
	return func(ctx context.Context, a *account, i int) error {
		_, err := n.Ctl.Zone(a.zone, "").Change(ctx, control.ChangeRequest{Add: a.pair(i), Comment: fmt.Sprintf("pair %d", i)})
		return err
	}
}

// load changes zones and looks at what is served, until it is ended.
type load struct {
	stop   chan struct{}
	work   sync.WaitGroup
	mu     sync.Mutex
	wrong  []error
	counts map[string]int // refusals, by their reason
}

func newLoad() *load { return &load{stop: make(chan struct{}), counts: make(map[string]int)} }

func (l *load) ended() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

func (l *load) end() {
	close(l.stop)
	l.work.Wait()
}

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wrong) < 10 {
		l.wrong = append(l.wrong, err)
	}
}

// change changes a zone by a door, until the end. Acked counts what was taken.
func (l *load) change(a *account, by door, acked *atomic.Int64) {
	l.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		for i := a.begin(); !l.ended(); {
			err := by(ctx, a, i)
			var code rcode
			switch {
			case err == nil:
				a.acked(i)
				acked.Add(1)
				i = a.begin()
				continue
			case errors.As(err, &code):
				l.mu.Lock()
				l.counts[code.Error()]++
				l.mu.Unlock()
				if code != dns.RcodeServerFailure {
					l.fail(fmt.Errorf("an update of %s is answered by %v", a.zone, code))
				}
			}
			time.Sleep(5 * time.Millisecond) // the server is gone, or its database
		}
	})
}

// look sees to it that the serial number of a node never goes back.
func (l *load) look(n *node, zone string) {
	l.work.Go(func() {
		seen := uint32(0)
		for ; !l.ended(); time.Sleep(3 * time.Millisecond) {
			serial, err := n.serial(zone)
			var code rcode
			switch {
			case errors.As(err, &code):
				l.fail(fmt.Errorf("%s answers for %s by %v", n.Addr, zone, code))
			case err != nil:
			case int32(serial-seen) < 0:
				l.fail(fmt.Errorf("%s serves %d of %s, and has served %d", n.Addr, serial, zone, seen))
			default:
				seen = serial
			}
		}
	})
}
