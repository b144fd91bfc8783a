package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"onoma/dns"
)

// tally is what one asker saw.
type tally struct {
	sent, completed int
	rcodes          map[string]int
	total           time.Duration
	took            map[time.Duration]int // by the upper end of the bucket
	err             error
}

func newTally() *tally { return &tally{rcodes: map[string]int{}, took: map[time.Duration]int{}} }

func (t *tally) answered(answer []byte, took time.Duration) {
	h, ok := dns.ParseHeader(answer)
	if !ok {
		return
	}
	t.completed++
	t.total += took
	t.rcodes[h.Flags.RCode().String()]++
	t.took[ceiling(took)]++
}

// ceiling is the upper end of the bucket of a time: buckets are a 50th wide.
func ceiling(d time.Duration) time.Duration {
	const width = 1.02
	n := math.Ceil(math.Log(float64(max(d, time.Microsecond))) / math.Log(width))
	return time.Duration(math.Pow(width, n))
}

func (t *tally) add(o *tally) {
	t.sent, t.completed, t.total = t.sent+o.sent, t.completed+o.completed, t.total+o.total
	for k, n := range o.rcodes {
		t.rcodes[k] += n
	}
	for k, n := range o.took {
		t.took[k] += n
	}
	if o.err != nil {
		t.err = o.err
	}
}

// print writes the lines of dnsperf that bench reads.
func (t *tally) print(w io.Writer, took time.Duration) {
	fmt.Fprintf(w, "  Queries sent:         %d\n  Queries completed:    %d\n", t.sent, t.completed)
	var codes []string
	for _, rcode := range slices.Sorted(maps.Keys(t.rcodes)) {
		codes = append(codes, fmt.Sprintf("%s %d (%.2f%%)", rcode, t.rcodes[rcode], 100*float64(t.rcodes[rcode])/float64(t.completed)))
	}
	fmt.Fprintf(w, "  Response codes:       %s\n", strings.Join(codes, ", "))
	fmt.Fprintf(w, "  Queries per second:   %f\n", float64(t.completed)/took.Seconds())
	fmt.Fprintf(w, "  Average Latency (s):  %f\n", t.total.Seconds()/float64(max(1, t.completed)))
	for _, upTo := range slices.Sorted(maps.Keys(t.took)) {
		fmt.Fprintf(w, "  %f - %f:  %d\n", upTo.Seconds(), upTo.Seconds(), t.took[upTo])
	}
	if t.err != nil {
		fmt.Fprintf(w, "[Status] last error: %v\n", t.err)
	}
}
