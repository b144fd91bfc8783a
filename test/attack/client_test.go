package attack

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// patience is how long a client waits: longer than the 7 s that a look-up may take.
const patience = 20 * time.Second

// ask asks the resolver, by TCP again where the answer was cut short.
func (w *world) ask(name dns.Name, t dns.Type) (*dns.Message, error) {
	return w.question(dns.Question{Name: name, Type: t, Class: dns.ClassIN}, nil)
}

// question asks with EDNS options.
func (w *world) question(q dns.Question, options []dns.Option) (*dns.Message, error) {
	m := dns.NewQuery(uint16(rand.Uint32()), q, true)
	m.Flags |= dns.FlagAD
	m.EDNS = &dns.EDNS{UDPSize: 1232, Options: options}
	query, err := m.Append(nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, proto := range []transport.Proto{transport.UDP, transport.TCP} {
		c := transport.Client{}
		r, err := c.Exchange(ctx, proto, w.onoma.Addr, query, nil)
		if err != nil {
			return nil, err
		}
		a, err := dns.ParseMessage(r.Msg)
		if err != nil || !a.Flags.Has(dns.FlagTC) {
			return a, err
		}
	}
	return nil, fmt.Errorf("%s is truncated over TCP", q)
}

// verdict is an answer in short: rcode, AD, the data of the records asked for, and the codes of extended errors.
func verdict(a *dns.Message, err error) string {
	if err != nil {
		return err.Error()
	}
	s := a.RCode.String()
	if a.Flags.Has(dns.FlagAD) {
		s += " AD"
	}
	for _, r := range a.Answer {
		if r.Type == a.Question().Type {
			s += " " + r.Data.Text(r.Type)
		}
	}
	return s
}

// expect asks and compares the verdict.
func (w *world) expect(name dns.Name, t dns.Type, want string) {
	w.t.Helper()
	if a, err := w.ask(name, t); verdict(a, err) != want {
		w.t.Errorf("%s %s\n got: %s\nwant: %s", name, t, explained(a, err), want)
	}
}

// explained is a verdict with the extended errors.
func explained(a *dns.Message, err error) string {
	s := verdict(a, err)
	if err == nil && a.EDNS != nil {
		for _, e := range a.EDNS.EDE() {
			s += fmt.Sprintf(" [%s]", e)
		}
	}
	return s
}

// flood asks n questions, so many at a time, and returns the verdicts' counts.
func (w *world) flood(n, parallel int, question func(i int) dns.Question) map[string]int {
	next, verdicts := make(chan int), map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for i := range next {
				v := verdict(w.question(question(i), nil))
				mu.Lock()
				verdicts[v]++
				mu.Unlock()
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return verdicts
}

// watch asks honest names until end is called: all are to be answered well within a time.
func (w *world) watch(within time.Duration) (end func() (asked int)) {
	done, asked, worst := make(chan struct{}), 0, time.Duration(0)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			start := time.Now()
			if v := verdict(w.ask(w.fresh(), dns.TypeA)); v != "NOERROR AD 192.0.2.1" {
				w.t.Errorf("an honest name during the attack: %s", v)
			}
			asked++
			worst = max(worst, time.Since(start))
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	return func() int {
		close(done)
		wg.Wait()
		if worst > within {
			w.t.Errorf("an honest name took %v during the attack, at most %v is right", worst, within)
		}
		return asked
	}
}

// processorTime is what a process has used: in nanoseconds of its threads, where the kernel counts them.
func processorTime(t testing.TB, pid int) (sum time.Duration) {
	t.Helper()
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid)) // the pattern is fine
	for _, name := range threads {
		text, _ := os.ReadFile(name) // the thread may have ended
		if f := strings.Fields(string(text)); len(f) > 0 {
			n, _ := strconv.ParseInt(f[0], 10, 64)
			sum += time.Duration(n)
		}
	}
	if sum == 0 {
		t.Skip("the kernel does not count the processor time of threads (/proc/PID/task/TID/schedstat)")
	}
	return sum
}

// memory is what a process occupies.
func memory(t testing.TB, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	f := strings.Fields(string(text))
	if err != nil || len(f) < 2 {
		t.Fatalf("the memory of process %d: %v", pid, err)
	}
	pages, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// expectRecords wants so many records in the answer.
func (w *world) expectRecords(name dns.Name, t dns.Type, n int) {
	w.t.Helper()
	a, err := w.ask(name, t)
	if err != nil || len(a.Answer) != n {
		w.t.Errorf("%s %s: %.200s, expected %d records", name, t, explained(a, err), n)
	}
}

// raw sends one message over UDP and returns what comes first; nil is silence for 2 s.
func (w *world) raw(m *dns.Message) []byte {
	w.t.Helper()
	query, err := m.Append(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.octets(query, 2*time.Second)
}

// octets sends anything over UDP, and waits so long for what comes first.
func (w *world) octets(query []byte, wait time.Duration) []byte {
	w.t.Helper()
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(w.onoma.Addr))
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(query); err != nil {
		w.t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(wait))
	buf := make([]byte, 65535)
	n, err := conn.Read(buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}
