package dnstap

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"onoma/transport"
)

func question(id byte) []byte {
	return []byte("\x12" + string(rune(id)) + "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01")
}

func answer(id byte) []byte {
	m := question(id)
	m[2], m[3] = 0x84, 3
	return m
}

var (
	at     = time.Date(2026, 3, 4, 5, 6, 7, 89000000, time.UTC).UnixNano()
	client = netip.MustParseAddrPort("192.0.2.1:40000")
	server = netip.MustParseAddrPort("198.51.100.53:53")
	events = []Event{
		{Query: question(1), Answer: answer(1), Client: client, Local: server, Proto: transport.UDP, QueryTime: at, AnswerTime: at + 1000},
		{Query: question(2), Answer: answer(2), Client: netip.MustParseAddrPort("[2001:db8::1]:40001"),
			Local: netip.MustParseAddrPort("[2001:db8::53]:853"), Proto: transport.TCP, QueryTime: at, AnswerTime: at + 1000},
		{Query: question(3), Client: client, Local: server, Proto: transport.TLS, QueryTime: at},
	}
)

func config(t testing.TB, url string) Config {
	t.Helper()
	sink, err := ParseSink(url)
	if err != nil {
		t.Fatal(err)
	}
	return Config{Sink: sink, Identity: "ns1", Version: "onoma", Queries: true, Responses: true}
}

// write runs an Output until all events are in its sink.
func write(t *testing.T, cfg Config) {
	t.Helper()
	o := New(cfg)
	ring := o.NewRing(4096)
	for i := range events {
		if !ring.Put(&events[i]) {
			t.Fatal("no room in an empty ring")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { o.Run(ctx); close(ended) }()
	for o.Stats().Frames < 5 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-ended
}

// read has a program of BIND or Knot DNS tell what is in a file.
func read(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func TestBINDReadsTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log.tap")
	write(t, config(t, "file://"+file))
	out := read(t, "dnstap-read", "-y", file)
	for _, want := range []string{
		"identity: ns1", "version: onoma", "type: AUTH_QUERY", "type: AUTH_RESPONSE", "query_time: !!timestamp 2026-03-04T05:06:07",
		"response_time: !!timestamp 2026-03-04T05:06:07", "socket_family: INET6", "socket_protocol: TCP", `query_address: "192.0.2.1"`,
		"query_port: 40000", `response_address: "198.51.100.53"`, "response_port: 853", "status: NXDOMAIN", "www.example.com. IN A",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("dnstap-read does not see %q in\n%s", want, out)
		}
	}
	if n := strings.Count(out, "type: MESSAGE"); n != 5 {
		t.Errorf("dnstap-read sees %d messages, expected 5", n)
	}
}

func TestKnotReadsTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log.tap")
	cfg := config(t, "file://"+file)
	write(t, cfg)
	out := read(t, "kdig", "-G", file)
	if n := strings.Count(out, "www.example.com."); n != 2 { // it leaves out queries
		t.Errorf("kdig -G sees %d responses, expected 2:\n%s", n, out)
	}
	if !strings.Contains(out, "NXDOMAIN") || !strings.Contains(out, "192.0.2.1@40000") {
		t.Errorf("kdig -G does not see the response or the client:\n%s", out)
	}
}

func TestFilesAreNeverOverwritten(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "log.tap")
	for range 3 {
		write(t, config(t, "file://"+file))
	}
	names, err := filepath.Glob(file + "*")
	if err != nil || len(names) != 3 {
		t.Fatalf("%v, expected the file and two moved aside (%v)", names, err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if b, err := os.ReadFile(name); err != nil || len(b) != len(whole) {
			t.Errorf("%s has %d octets, expected %d (%v)", name, len(b), len(whole), err)
		}
	}
}

// peer is the other end of a connection: a reader of frame streams.
type peer struct {
	net.Conn
	frames atomic.Int64
	stop   chan struct{} // closed when STOP has come
}

// accept shakes hands and reads frames until STOP.
func (p *peer) serve() error {
	if kind, ours, err := readControl(p); err != nil || kind != controlReady || !ours {
		return errors.Join(errors.New("no READY"), err)
	}
	if _, err := p.Write(appendControl(nil, controlAccept, true)); err != nil {
		return err
	}
	if kind, ours, err := readControl(p); err != nil || kind != controlStart || !ours {
		return errors.Join(errors.New("no START"), err)
	}
	for {
		var head [4]byte
		if _, err := io.ReadFull(p, head[:]); err != nil {
			return err
		}
		n := int(head[2])<<8 | int(head[3])
		if n == 0 {
			close(p.stop)
			_, err := io.CopyN(io.Discard, p, 8)
			if err == nil {
				_, err = p.Write(appendControl(nil, controlFinish, false))
			}
			return err
		}
		if _, err := io.CopyN(io.Discard, p, int64(n)); err != nil {
			return err
		}
		p.frames.Add(1)
	}
}

func TestStreamIsOpenedAndEndedInOrder(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		address, url := "127.0.0.1:0", ""
		if network == "unix" {
			address = filepath.Join(t.TempDir(), "tap")
			url = "unix://" + address
		}
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		if network == "tcp" {
			url = "tcp://" + l.Addr().String()
		}
		served := make(chan error, 1)
		p := &peer{stop: make(chan struct{})}
		go func() {
			p.Conn, err = l.Accept()
			if err == nil {
				err = p.serve()
			}
			served <- err
		}()
		write(t, config(t, url))
		if err := <-served; err != nil {
			t.Errorf("%s: %v", network, err)
		}
		if n := p.frames.Load(); n != 5 {
			t.Errorf("%s: %d frames, expected 5", network, n)
		}
		l.Close()
	}
}

func TestSinkThatNeverReadsDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, "unix:///x")
		var dials atomic.Int32
		cfg.open = func(Sink, time.Time) (stream, error) {
			dials.Add(1)
			near, far := net.Pipe()
			go func() { // accepts, and then reads nothing
				readControl(far)
				far.Write(appendControl(nil, controlAccept, true))
				readControl(far)
			}()
			return newConn(near)
		}
		o := New(cfg)
		ring := o.NewRing(1 << 16)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { o.Run(ctx) })
		synctest.Wait()
		const puts = 100000
		start := time.Now()
		for range puts {
			ring.Put(&events[0])
		}
		if d := time.Since(start); d != 0 { // fake time only passes while everything waits
			t.Errorf("Put has waited for %v", d)
		}
		time.Sleep(time.Minute)
		s := o.Stats()
		if s.Dropped == 0 || s.Events+s.Dropped != puts || s.Frames != 0 {
			t.Errorf("%+v, expected most of %d events to be dropped and none written", s, puts)
		}
		if n := dials.Load(); n < 2 || n > 12 {
			t.Errorf("connected %d times in a minute of time-outs of 5 s, expected a few times", n)
		}
		cancel()
		wg.Wait()
	})
}

func TestReconnectsWithPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, "tcp://192.0.2.1:6000")
		var tries []time.Duration
		start := time.Now()
		p := &peer{stop: make(chan struct{})}
		cfg.open = func(Sink, time.Time) (stream, error) {
			tries = append(tries, time.Since(start))
			if time.Since(start) < 5*time.Minute {
				return nil, errors.New("refused")
			}
			near, far := net.Pipe()
			p.Conn = far
			go p.serve()
			return newConn(near)
		}
		o := New(cfg)
		ring := o.NewRing(1 << 16)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { o.Run(ctx) })
		time.Sleep(10 * time.Minute)
		if n := len(tries); n < 15 || n > 25 {
			t.Errorf("tried %d times in five minutes, expected about 8 until the pause is 30 s, and then ten", n)
		}
		for i := 1; i < len(tries); i++ {
			if pause := tries[i] - tries[i-1]; pause > maxRetry+time.Second {
				t.Errorf("a pause of %v, expected at most %v", pause, maxRetry)
			}
		}
		ring.Put(&events[0])
		time.Sleep(time.Second)
		if n := p.frames.Load(); n != 2 {
			t.Errorf("%d frames after the sink came back, expected 2", n)
		}
		cancel()
		<-p.stop
		wg.Wait()
	})
}

func TestRingKeepsOrderUnderLoad(t *testing.T) {
	r := NewRing(4096)
	const n = 50000
	go func() {
		for i := range n {
			e := events[i%len(events)]
			e.QueryTime = int64(i)
			for !r.Put(&e) {
			}
		}
	}()
	var e Event
	for i := 0; i < n; {
		b := r.next()
		if b == nil {
			continue
		}
		e.read(b)
		want := &events[i%len(events)]
		if e.QueryTime != int64(i) || string(e.Query) != string(want.Query) || string(e.Answer) != string(want.Answer) || e.Client != want.Client || e.Local != want.Local {
			t.Fatalf("event %d comes out as %+v", i, e)
		}
		r.done(len(b))
		i++
	}
}

func TestMessageTooLargeForTheRingIsDropped(t *testing.T) {
	r := NewRing(4096)
	e := Event{Answer: make([]byte, 65535)}
	if r.Put(&e) || r.dropped.Load() != 1 {
		t.Errorf("64 KiB went into 4 KiB, or were not counted")
	}
	if e = events[0]; !r.Put(&e) {
		t.Error("a small event finds no room afterwards")
	}
}

// TestProtocolsAreTold reads the field socket_protocol; the readers above know no more than UDP and TCP.
func TestProtocolsAreTold(t *testing.T) {
	for proto, want := range map[transport.Proto]uint64{transport.UDP: 1, transport.TCP: 2, transport.TLS: 3, transport.HTTPS: 4, transport.QUIC: 7} {
		e := newEncoder("", "")
		e.common(authQuery, &Event{Client: client, Local: server, Proto: proto})
		got := uint64(0)
		for m := e.msg; len(m) > 0; {
			number, kind, n := protowire.ConsumeTag(m)
			size := protowire.ConsumeFieldValue(number, kind, m[n:])
			if n < 0 || size < 0 {
				t.Fatalf("%v: not a protocol buffer: %x", proto, e.msg)
			}
			if number == 3 {
				got, _ = protowire.ConsumeVarint(m[n:])
			}
			m = m[n+size:]
		}
		if got != want {
			t.Errorf("%v is told as %d, expected %d", proto, got, want)
		}
	}
}

func TestParseSink(t *testing.T) {
	for _, good := range []string{"unix:///run/tap", "tcp://127.0.0.1:6000", "tcp://[::1]:6000", "file:///var/log/dns.tap"} {
		s, err := ParseSink(good)
		if err != nil || s.String() != good {
			t.Errorf("%s: %v, %v", good, s, err)
		}
	}
	for _, bad := range []string{"", "/run/tap", "unix://run/tap", "tcp://host", "tcp://:6000", "udp://host:1", "file://", "unix:///"} {
		if s, err := ParseSink(bad); err == nil {
			t.Errorf("%s: read as %v, expected an error", bad, s)
		}
	}
}

func FuzzControl(f *testing.F) {
	f.Add(appendControl(nil, controlReady, true)[8:])
	f.Add(appendControl(nil, controlStop, false)[8:])
	f.Add([]byte("\x00\x00\x00\x04\x00\x00\x00\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) < 4 {
			return
		}
		if kind, _, err := parseControl(body); err == nil && kind != uint32(body[0])<<24|uint32(body[1])<<16|uint32(body[2])<<8|uint32(body[3]) {
			t.Errorf("type %d", kind)
		}
	})
}

func BenchmarkPut(b *testing.B) {
	o := New(config(b, "unix:///x"))
	r := o.NewRing(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		if !r.Put(&events[0]) {
			o.take(r)
		}
	}
}
