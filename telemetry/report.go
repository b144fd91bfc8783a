package telemetry

import (
	"runtime/metrics"
	"time"

	"onoma/telemetry/dnstap"
	"onoma/transport"
)

// Report is all that a server tells of itself at one moment. Whatever reads it, a scrape, a terminal or a script, sees the
// same numbers. Counts are since the start.
type Report struct {
	Role    string    `json:"role"` // authority, resolver, or both
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Time    time.Time `json:"time"`
	Ready   bool      `json:"ready"`
	Listen  []string  `json:"listen"`

	Traffic     Traffic                `json:"traffic"`
	Transports  map[string]Counts      `json:"transports"` // by transport: udp, tcp, tls, quic, https, xdp
	Loops       []Counts               `json:"loops"`      // one for each UDP loop, without deferred answers
	KernelDrops uint64                 `json:"kernel_drops"`
	Connections map[string]Connections `json:"connections"`
	Pressed     uint64                 `json:"pressed"`            // UDP sockets that are flooded now, so that known sources go first
	Known       uint64                 `json:"known"`              // sources that do
	Outcomes    map[string]uint64      `json:"outcomes,omitempty"` // of an authority's questions
	Limited     map[string]uint64      `json:"limited,omitempty"`  // answers that were too many, by class
	Slipped     uint64                 `json:"slipped"`            // of them, those answered without records
	Zones       Zones                  `json:"zones"`
	Changing    *Changing              `json:"changing,omitempty"`  // where zones change
	Resolving   *Resolving             `json:"resolving,omitempty"` // of a resolver
	Dnstap      *dnstap.Stats          `json:"dnstap,omitempty"`
	QueryLog    *dnstap.Stats          `json:"query_log,omitempty"`
	Log         Log                    `json:"log"`
	Process     Process                `json:"process"`
}

// Counts is what one transport, or one loop of it, did with messages.
type Counts struct {
	Queries    uint64            `json:"queries"`
	Answers    uint64            `json:"answers"`
	BytesIn    uint64            `json:"bytes_in"`
	BytesOut   uint64            `json:"bytes_out"`
	Dropped    map[string]uint64 `json:"dropped,omitempty"` // by reason
	SendErrors uint64            `json:"send_errors"`
}

// Drops is the sum over all reasons.
func (c Counts) Drops() (n uint64) {
	for _, d := range c.Dropped {
		n += d
	}
	return n
}

// Connections is what became of connections.
type Connections struct {
	Open       uint64            `json:"open"`
	Accepted   uint64            `json:"accepted"`
	Closed     map[string]uint64 `json:"closed"` // by us, by reason
	Handshakes uint64            `json:"handshakes,omitempty"`
	Resumed    uint64            `json:"resumed,omitempty"`
}

// Zones sums up what is served.
type Zones struct {
	Count   int `json:"count"`
	Missing int `json:"missing"` // of them, those without a version to answer from
	Records int `json:"records"`
	Bytes   int `json:"bytes"`
}

// Zone is one zone that is served.
type Zone struct {
	Name    string `json:"name"`
	Loaded  bool   `json:"loaded"` // there is a version to answer from; without it what follows is 0
	Serial  uint32 `json:"serial"`
	Names   int    `json:"names"`
	Records int    `json:"records"`
	Bytes   int    `json:"bytes"`

	Secondaries []Secondary `json:"secondaries,omitempty"` // that are told of new versions
}

// Secondary is what a server that is told of new versions has said to that (RFC 1996).
type Secondary struct {
	Address string    `json:"address"`
	Key     string    `json:"key,omitempty"` // that it is told with
	State   string    `json:"state"`         // "acknowledged", "waiting" or "given up"
	Sent    uint32    `json:"sent"`          // serial number that it was told of last; 0 before the first time
	Acked   uint32    `json:"acked"`         // that it has acknowledged last; likewise
	Tries   int       `json:"tries"`         // for the current version
	Error   string    `json:"error,omitempty"`
	Changed time.Time `json:"changed"`
}

// Add counts a zone.
func (z *Zones) Add(o Zone) {
	z.Count++
	if !o.Loaded {
		z.Missing++
	}
	z.Records += o.Records
	z.Bytes += o.Bytes
}

// Log is what became of log lines.
type Log struct {
	Lines   uint64 `json:"lines"`
	Dropped uint64 `json:"dropped"` // because standard error took none
}

// Process is what the process costs.
type Process struct {
	Resident   uint64  `json:"resident"` // octets; 0 where the system does not tell
	Heap       uint64  `json:"heap"`     // octets of live objects
	CPUSeconds float64 `json:"cpu_seconds"`
	Goroutines uint64  `json:"goroutines"`
}

// NewReport returns a Report of what every process can tell.
func NewReport(now time.Time) Report {
	return Report{
		Time: now, Transports: make(map[string]Counts), Connections: make(map[string]Connections), Process: process(),
		Loops: []Counts{}, Traffic: Traffic{Queries: []Queries{}},
	}
}

func process() Process {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/sched/goroutines:goroutines"}}
	metrics.Read(samples)
	p := Process{Heap: samples[0].Value.Uint64(), Goroutines: samples[1].Value.Uint64()}
	p.Resident, p.CPUSeconds = usage()
	return p
}

// AddTransport adds what a transport.Server counts.
func (r *Report) AddTransport(s transport.Stats) {
	r.addProto("udp", s.UDP)
	r.addProto("tcp", s.TCP)
	r.addProto("tls", s.TLS)
	for _, l := range s.Loops {
		r.Loops = append(r.Loops, counts(l))
	}
	r.KernelDrops += s.KernelDrops
	r.Pressed += s.Pressed
	r.Known += s.Known
	r.AddConns("tcp", s.Conns)
	r.AddConns("tls", s.TLSConns)
}

// AddLoop adds a loop of a transport other than transport.Server.
func (r *Report) AddLoop(c transport.Counts) { r.Loops = append(r.Loops, counts(c)) }

// addProto leaves out a transport that nothing has been sent by.
func (r *Report) addProto(name string, c transport.Counts) {
	if c != (transport.Counts{}) {
		r.AddCounts(name, c)
	}
}

// AddCounts adds what a transport counts; a second server of the same transport is added to the first.
func (r *Report) AddCounts(name string, c transport.Counts) {
	r.Transports[name] = counts(c).plus(r.Transports[name])
}

func counts(c transport.Counts) Counts {
	n := Counts{
		Queries: c.Queries, Answers: c.Answers, BytesIn: c.BytesIn, BytesOut: c.BytesOut, SendErrors: c.SendErrors,
		Dropped: make(map[string]uint64),
	}
	for reason, d := range map[string]uint64{
		"short": c.Short, "response": c.Responses, "port-zero": c.PortZero, "oversize": c.Oversize, "panic": c.Panics, "shed": c.Shed,
	} {
		if d > 0 {
			n.Dropped[reason] = d
		}
	}
	return n
}

func (c Counts) plus(o Counts) Counts {
	for reason, d := range o.Dropped {
		c.Dropped[reason] += d
	}
	c.Queries += o.Queries
	c.Answers += o.Answers
	c.BytesIn += o.BytesIn
	c.BytesOut += o.BytesOut
	c.SendErrors += o.SendErrors
	return c
}

// AddConns adds what became of connections of a transport.
func (r *Report) AddConns(name string, s transport.ConnStats) {
	if s == (transport.ConnStats{}) {
		return
	}
	c := r.Connections[name]
	if c.Closed == nil {
		c.Closed = make(map[string]uint64)
	}
	c.Open += s.Open
	c.Accepted += s.Accepted
	c.Handshakes += s.Handshakes
	c.Resumed += s.Resumed
	for reason, n := range map[string]uint64{
		"refused": s.Refused, "evicted": s.Evicted, "idle": s.Idle, "stalled": s.Stalled, "unencrypted": s.Unencrypted,
	} {
		if n > 0 {
			c.Closed[reason] += n
		}
	}
	r.Connections[name] = c
}
