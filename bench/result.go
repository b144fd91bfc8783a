package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// report is everything that was measured, as it is kept in the JSON file.
type report struct {
	Profiles []profileResult `json:"profiles"`
	// Signing is what bench/signing has measured: it is kept as it is.
	Signing json.RawMessage `json:"signing,omitempty"`
}

// profileResult is what all servers showed in one profile.
type profileResult struct {
	Name        string         `json:"name"`
	Title       string         `json:"title"`
	About       string         `json:"about"`
	Date        string         `json:"date"`
	Machine     string         `json:"machine"`
	Generator   string         `json:"generator"`
	Runs        int            `json:"runs"`
	Seconds     int            `json:"seconds"`
	Delegations int            `json:"delegations,omitempty"`
	Loads       bool           `json:"loads"` // load time is worth telling
	Servers     []serverResult `json:"servers"`
	LeftOut     []string       `json:"left_out,omitempty"`
	Checked     string         `json:"checked"` // with whom answers were compared, and what came of it
}

// serverResult is what one server showed in one profile.
type serverResult struct {
	Name  string      `json:"name"`
	Label string      `json:"label"` // with its version
	Load  *loadResult `json:"load,omitempty"`
	// Snapshot is a start from the snapshot that an earlier start left; only ours has one.
	Snapshot *loadResult `json:"snapshot,omitempty"`
	Runs     []runResult `json:"runs"`
	Latency  *latency    `json:"latency,omitempty"`
	// Memory in bytes, shared pages counted once: with the zones loaded, and after all runs.
	PSSStart int64 `json:"pss_start"`
	PSSEnd   int64 `json:"pss_end"`
}

// loadResult is the start of a server with two processors to the first right answer from all zones that were tried.
type loadResult struct {
	Wall float64 `json:"wall_seconds"`
	CPU  float64 `json:"cpu_seconds"`
}

// runResult is one run of the generator.
type runResult struct {
	Sent      int     `json:"sent"`
	Completed int     `json:"completed"`
	Rate      float64 `json:"rate"`
	CPU       float64 `json:"cpu_seconds_per_million"`
}

// latency is in seconds, at the rate of the load. P50 and P99 are 0 where the generator does not tell them.
type latency struct {
	Rate float64 `json:"rate"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	if len(s)%2 == 0 {
		return (s[len(s)/2-1] + s[len(s)/2]) / 2
	}
	return s[len(s)/2]
}

func each(runs []runResult, of func(runResult) float64) []float64 {
	v := make([]float64, len(runs))
	for i, r := range runs {
		v[i] = of(r)
	}
	return v
}

func (s serverResult) cpu() float64 {
	return median(each(s.Runs, func(r runResult) float64 { return r.CPU }))
}

func (s serverResult) rate() float64 {
	return median(each(s.Runs, func(r runResult) float64 { return r.Rate }))
}

func (s serverResult) lost() float64 {
	return median(each(s.Runs, func(r runResult) float64 { return 1 - float64(r.Completed)/float64(max(1, r.Sent)) }))
}

// server returns the row of a name, or nil.
func (p profileResult) server(name string) *serverResult {
	for i := range p.Servers {
		if p.Servers[i].Name == name {
			return &p.Servers[i]
		}
	}
	return nil
}

// ratio is what s costs beside other: the median over the rounds, each of which had both within seconds.
func (s serverResult) ratio(other serverResult) float64 {
	n := min(len(s.Runs), len(other.Runs))
	v := make([]float64, 0, n)
	for i := range n {
		if other.Runs[i].CPU > 0 {
			v = append(v, s.Runs[i].CPU/other.Runs[i].CPU)
		}
	}
	return median(v)
}

// isPeer says whether a row is a name server other than ours.
func (s serverResult) isPeer() bool { return s.Name != "floor" && !strings.HasPrefix(s.Name, "onoma") }

// bestPeer returns the peer with the lowest value of a figure above zero, or nil.
func (p profileResult) bestPeer(of func(serverResult) float64) *serverResult {
	var best *serverResult
	for i, s := range p.Servers {
		if s.isPeer() && of(s) > 0 && (best == nil || of(s) < of(*best)) {
			best = &p.Servers[i]
		}
	}
	return best
}

func (r *report) profile(name string) *profileResult {
	for i := range r.Profiles {
		if r.Profiles[i].Name == name {
			return &r.Profiles[i]
		}
	}
	return nil
}

func (r *report) read(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, r); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// merge adds the profiles of the file that r does not have, in the usual order, and writes all back.
func (r *report) merge(path string) error {
	var before report
	if err := before.read(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r.Signing = before.Signing
	for _, p := range before.Profiles {
		if r.profile(p.Name) == nil {
			r.Profiles = append(r.Profiles, p)
		}
	}
	order := profileNames()
	slices.SortStableFunc(r.Profiles, func(a, b profileResult) int {
		return slices.Index(order, a.Name) - slices.Index(order, b.Name)
	})
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
