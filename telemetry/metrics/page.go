package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"onoma/telemetry"
)

// page is one scrape's.
type page struct{ out chan<- prometheus.Metric }

func (p page) count(d *prometheus.Desc, n uint64, labels ...string) {
	p.out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func (p page) gauge(d *prometheus.Desc, v float64, labels ...string) {
	p.out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (p page) each(d *prometheus.Desc, m map[string]uint64, labels ...string) {
	for key, n := range m {
		p.count(d, n, append(labels[:len(labels):len(labels)], key)...)
	}
}

func (p page) histogram(d *prometheus.Desc, h telemetry.Histogram, labels ...string) {
	buckets := make(map[float64]uint64, len(h.Bounds))
	var n uint64
	for i, bound := range h.Bounds {
		n += h.Counts[i]
		buckets[bound] = n
	}
	p.out <- prometheus.MustNewConstHistogram(d, h.Count, h.Sum, buckets, labels...)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (p page) traffic(r *telemetry.Report) {
	t := &r.Traffic
	for _, q := range t.Queries {
		p.count(queries, q.Count, q.Transport, q.Family, q.Class, q.EDNS)
	}
	p.each(types, t.Types)
	p.each(responses, t.RCodes)
	p.count(truncated, t.Truncated)
	p.count(unanswered, t.Unanswered)
	p.count(deferred, t.Deferred)
	p.histogram(sizes, t.Datagrams, "udp")
	p.histogram(sizes, t.Streams, "stream")
	p.histogram(waits, t.Waits)
	p.each(outcomes, r.Outcomes)
	p.each(limited, r.Limited)
	p.count(slipped, r.Slipped)
}

func (p page) transports(r *telemetry.Report) {
	for name, c := range r.Transports {
		p.count(received, c.Queries, name)
		p.count(answered, c.Answers, name)
		p.count(bytesIn, c.BytesIn, name)
		p.count(bytesOut, c.BytesOut, name)
		p.count(sendErrors, c.SendErrors, name)
		p.each(dropped, c.Dropped, name)
	}
	for i, l := range r.Loops {
		p.count(loopQueries, l.Queries, strconv.Itoa(i))
	}
	p.count(kernelDrops, r.KernelDrops)
	p.gauge(pressed, float64(r.Pressed))
	p.gauge(known, float64(r.Known))
	for name, c := range r.Connections {
		p.gauge(connsOpen, float64(c.Open), name)
		p.count(connsIn, c.Accepted, name)
		p.each(connsClosed, c.Closed, name)
		if c.Handshakes > 0 {
			p.count(handshakes, c.Handshakes-c.Resumed, name, "false")
			p.count(handshakes, c.Resumed, name, "true")
		}
	}
}

func (p page) zones(r *telemetry.Report) {
	p.gauge(zones, float64(r.Zones.Count))
	p.gauge(zonesMissing, float64(r.Zones.Missing))
	p.gauge(zonesRecords, float64(r.Zones.Records))
	p.gauge(zonesBytes, float64(r.Zones.Bytes))
}

func (p page) sinks(r *telemetry.Report) {
	p.count(logLines, r.Log.Lines, "written")
	p.count(logLines, r.Log.Dropped, "dropped")
	if d := r.Dnstap; d != nil {
		p.gauge(tapUp, truth(d.Connected))
		p.count(tapFrames, d.Frames)
		p.count(tapDropped, d.Dropped)
	}
	if q := r.QueryLog; q != nil {
		p.count(queryLines, q.Frames, "written")
		p.count(queryLines, q.Dropped, "dropped")
	}
}
