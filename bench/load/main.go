// Command load asks a name server questions over transports that dnsperf lacks or is slow at: DNS over QUIC (RFC 9250),
// a stream for each question on a few connections, TCP with a connection for each question, and requests to change a zone
// (RFC 2136). It prints what dnsperf prints, so that bench reads both alike. Certificates are not verified: the server is our own.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"onoma/dns"
)

// asker sends a question and returns the answer. One goroutine uses it.
type asker interface {
	ask(ctx context.Context, query []byte) ([]byte, error)
	close()
}

type options struct {
	mode      string
	server    netip.AddrPort
	file      string
	conns     int
	inFlight  int
	seconds   int
	perSecond int
	do        bool
	zone      string
}

func main() {
	var o options
	var addr string
	var port uint
	flag.StringVar(&o.mode, "m", "doq", "doq, tcp-1 for a TCP connection for each question, or update to add names to a zone over UDP")
	flag.StringVar(&o.zone, "z", "", "the zone to update")
	flag.StringVar(&addr, "s", "127.0.0.1", "the server's address")
	flag.UintVar(&port, "p", 853, "the server's port")
	flag.StringVar(&o.file, "d", "", "file of questions, a name and a type on each line")
	flag.IntVar(&o.conns, "c", 16, "QUIC connections")
	flag.IntVar(&o.inFlight, "q", 128, "questions in flight")
	flag.IntVar(&o.seconds, "l", 4, "seconds to go on")
	flag.IntVar(&o.perSecond, "Q", 0, "questions a second, 0: as many as it takes")
	flag.BoolVar(&o.do, "D", false, "ask for DNSSEC records")
	flag.Parse()
	ip, err := netip.ParseAddr(addr)
	if err == nil {
		o.server = netip.AddrPortFrom(ip, uint16(port))
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	queries, err := readQueries(o)
	if err != nil {
		return err
	}
	askers, err := o.connect()
	if err != nil {
		return err
	}
	// Questions in flight at the end may still be answered.
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(o.seconds+2)*time.Second)
	defer cancel()
	began := time.Now()
	tallies := make([]*tally, len(askers))
	var wg sync.WaitGroup
	for i, a := range askers {
		t := newTally()
		tallies[i] = t
		wg.Go(func() { o.work(ctx, a, t, queries, i, began) })
	}
	wg.Wait()
	took := time.Since(began)
	for _, a := range askers {
		a.close()
	}
	sum := newTally()
	for _, t := range tallies {
		sum.add(t)
	}
	if sum.completed == 0 && sum.err != nil {
		return sum.err
	}
	sum.print(os.Stdout, took)
	return nil
}

// connect makes as many askers as there may be questions in flight.
func (o options) connect() ([]asker, error) {
	askers := make([]asker, o.inFlight)
	switch o.mode {
	case "tcp-1":
		for i := range askers {
			askers[i] = &tcpAsker{server: o.server}
		}
	case "doq":
		conns := make([]*quicConn, max(1, min(o.conns, o.inFlight)))
		for i := range conns {
			conns[i] = &quicConn{server: o.server}
		}
		for i := range askers {
			askers[i] = &quicAsker{conn: conns[i%len(conns)]}
		}
	case "update":
		zone, err := dns.ParseName(o.zone)
		if err != nil {
			return nil, fmt.Errorf("zone %q: %w", o.zone, err)
		}
		run := time.Now().UnixMilli() // unlike that of the run before, whose names are there still
		for i := range askers {
			askers[i] = &updateAsker{server: o.server, zone: zone, prefix: fmt.Sprintf("u%d-%d", run, i)}
		}
	default:
		return nil, fmt.Errorf("no transport %q, expected doq, tcp-1 or update", o.mode)
	}
	return askers, nil
}

// work is one question after the other until the time is over.
func (o options) work(ctx context.Context, a asker, t *tally, queries [][]byte, first int, began time.Time) {
	end := began.Add(time.Duration(o.seconds) * time.Second)
	var every time.Duration
	if o.perSecond > 0 {
		every = time.Duration(float64(time.Second) * float64(o.inFlight) / float64(o.perSecond))
	}
	next := began.Add(every * time.Duration(first) / time.Duration(o.inFlight))
	for i := first; ; i += o.inFlight {
		if every > 0 {
			time.Sleep(time.Until(next))
			next = next.Add(every)
		}
		sent := time.Now()
		if !sent.Before(end) {
			return
		}
		t.sent++
		answer, err := a.ask(ctx, queries[i%len(queries)])
		if err != nil {
			t.err = err
			continue
		}
		t.answered(answer, time.Since(sent))
	}
}

// readQueries returns the questions in wire form, each behind its length (RFC 7766 §8, RFC 9250 §4.2).
func readQueries(o options) ([][]byte, error) {
	f, err := os.Open(o.file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var queries [][]byte
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		q, err := wire(sc.Text(), o)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", o.file, sc.Text(), err)
		}
		queries = append(queries, q)
	}
	if len(queries) == 0 && sc.Err() == nil {
		return nil, fmt.Errorf("%s: no question in it", o.file)
	}
	return queries, sc.Err()
}

func wire(line string, o options) ([]byte, error) {
	name, kind, _ := strings.Cut(line, " ")
	n, err := dns.ParseName(name)
	if err != nil {
		return nil, err
	}
	t, ok := dns.ParseType(kind)
	if !ok {
		return nil, fmt.Errorf("no type %q", kind)
	}
	// The message ID is 0 over QUIC (RFC 9250 §4.2.1); a connection of one question needs none either.
	m := dns.NewQuery(0, dns.Question{Name: n, Type: t, Class: dns.ClassIN}, false)
	if o.do {
		m.EDNS = &dns.EDNS{UDPSize: 1232, DO: true}
	}
	q, err := m.Append([]byte{0, 0})
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint16(q, uint16(len(q)-2))
	return q, nil
}

// readFramed reads a message behind its length into buf.
func readFramed(r io.Reader, buf []byte) ([]byte, error) {
	if _, err := io.ReadFull(r, buf[:2]); err != nil {
		return nil, err
	}
	msg := buf[:binary.BigEndian.Uint16(buf)]
	_, err := io.ReadFull(r, msg)
	return msg, err
}
