package nodes

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/test/peers"
)

// node is a server.
type node struct{ *peers.Node }

func newNode(t testing.TB, configuration string) *node {
	t.Helper()
	return &node{peers.NewNode(t, configuration)}
}

// start starts the server and returns how long it took until it answered for a
// zone.
func (n *node) start(t testing.TB, zone string, prefix ...string) time.Duration {
	t.Helper()
	return n.Start(t, "answer for "+zone, func() bool {
		_, err := n.serial(zone)
		return err == nil
	}, prefix...)
}

// fails runs the server, which is to end by itself, and returns its exit status
// and what it said.
func (n *node) fails(t testing.TB, prefix ...string) (status int, said string) {
	t.Helper()
	before := len(n.Log())
	n.Run(t, prefix...)
	select {
	case <-n.Ended:
	case <-time.After(20 * time.Second):
		t.Errorf("the server runs, and was expected to refuse:\n%s", n.Log()[before:])
		n.End(t, os.Kill)
		return -1, ""
	}
	status, n.Cmd = n.Cmd.ProcessState.ExitCode(), nil
	return status, n.Log()[before:]
}

var errNotServed = errors.New("the zone is not served")

// rcode is the code of an answer that is not what was asked for.
type rcode int

func (r rcode) Error() string { return dns.RcodeToString[int(r)] }

// serial returns the serial number that is served.
func (n *node) serial(zone string) (uint32, error) {
	r, err := n.ask(zone, dns.TypeSOA)
	if err != nil {
		return 0, err
	}
	soa, ok := r[0].(*dns.SOA)
	if !ok {
		return 0, errNotServed
	}
	return soa.Serial, nil
}

// ask returns the answer to a question.
func (n *node) ask(name string, t uint16) ([]dns.RR, error) {
	c := dns.Client{Timeout: 500 * time.Millisecond}
	r, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, t), n.Addr.String())
	switch {
	case err != nil:
		return nil, err
	case r.Rcode != dns.RcodeSuccess:
		return nil, rcode(r.Rcode)
	case len(r.Answer) == 0:
		return nil, errNotServed
	}
	return r.Answer, nil
}

// update adds records to a zone by RFC 2136. A [rcode] says that it was refused.
func (n *node) update(patience time.Duration, zone string, add ...string) error {
	m := new(dns.Msg).SetUpdate(zone)
	for _, text := range add {
		r, err := dns.NewRR(text)
		if err != nil {
			return err
		}
		m.Insert([]dns.RR{r})
	}
	c := dns.Client{Timeout: patience}
	r, _, err := c.Exchange(m, n.Addr.String())
	switch {
	case err != nil:
		return err
	case r.Rcode != dns.RcodeSuccess:
		return rcode(r.Rcode)
	}
	return nil
}

// transfer fetches a zone, or what has changed since a serial number.
func (n *node) transfer(zone string, from uint32) ([]dns.RR, error) {
	q := new(dns.Msg).SetAxfr(zone)
	if from != 0 {
		q.SetIxfr(zone, from, ".", ".")
	}
	ch, err := new(dns.Transfer).In(q, n.Addr.String())
	if err != nil {
		return nil, err
	}
	var all []dns.RR
	for e := range ch {
		if e.Error != nil {
			err = e.Error
			continue
		}
		all = append(all, e.RR...)
	}
	if err == nil && len(all) < 2 {
		err = fmt.Errorf("%d records", len(all))
	}
	return all, err
}

// content fetches a zone.
func (n *node) content(zone string) (records map[string]bool, serial uint32, err error) {
	all, err := n.transfer(zone, 0)
	if err != nil {
		return nil, 0, err
	}
	records = make(map[string]bool, len(all))
	for _, r := range all {
		records[r.String()] = true
	}
	return records, all[0].(*dns.SOA).Serial, nil
}

// within waits for something to become so.
func within(t testing.TB, d time.Duration, what string, so func() error) {
	t.Helper()
	deadline := time.Now().Add(d)
	for {
		err := so()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, d, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

const zoneText = `$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
`
