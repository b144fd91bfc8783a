package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const dnsperfOutput = `DNS Performance Testing Tool
  Queries sent:         1000
  Queries completed:    990 (99.00%)
  Queries lost:         10 (1.00%)

  Response codes:       NOERROR 900 (90.91%), NXDOMAIN 90 (9.09%)
  Average packet size:  request 33, response 49
  Run time (s):         1.005161
  Queries per second:   984.900000

  Average Latency (s):  0.004560 (min 0.000013, max 0.033014)
  Latency StdDev (s):   0.004281
  Latency bucket (s):   answer count
  0.000100 - 0.000100:  495
  0.000200 - 0.000204:  485
  0.000300 - 0.000307:  10

Connection Statistics:
  Average Latency (s):  1.000000
  0.500000 - 0.600000:  8000
`

func TestParseLoad(t *testing.T) {
	l, err := parseLoad([]byte(dnsperfOutput))
	if err != nil {
		t.Fatal(err)
	}
	if l.sent != 1000 || l.completed != 990 || l.rate != 984.9 || l.rcodes["NOERROR"] != 900 || l.rcodes["NXDOMAIN"] != 90 {
		t.Errorf("read %+v", l)
	}
	if want := (latency{Rate: 984.9, Mean: 0.00456, P50: 0.0001, P99: 0.000307}); l.latency != want {
		t.Errorf("latency %+v, expected %+v", l.latency, want)
	}
	if _, err := parseLoad([]byte("Error: unable to connect\n")); err == nil {
		t.Error("an output without statistics was taken as a result")
	}
}

// TestPlausible: a server that refuses everything is fast, and must not get a row.
func TestPlausible(t *testing.T) {
	v := verdict{shares: map[string]float64{"NOERROR": 0.9, "NXDOMAIN": 0.1}}
	for _, c := range []struct {
		rcodes map[string]int
		ok     bool
	}{
		{map[string]int{"NOERROR": 895, "NXDOMAIN": 105}, true},
		{map[string]int{"REFUSED": 1000}, false},
		{map[string]int{"NOERROR": 1000}, false},
		{map[string]int{"NOERROR": 800, "NXDOMAIN": 100, "SERVFAIL": 100}, false},
	} {
		if err := v.plausible(loaded{completed: 1000, rcodes: c.rcodes}); (err == nil) != c.ok {
			t.Errorf("%v: %v", c.rcodes, err)
		}
	}
}

// runs makes a row out of its figures.
func runs(name string, cpu ...float64) serverResult {
	s := serverResult{Name: name, Label: name, PSSStart: 100 << 20}
	for _, c := range cpu {
		s.Runs = append(s.Runs, runResult{Sent: 10, Completed: 10, Rate: 1000, CPU: c})
	}
	return s
}

// TestRatioComesFromNeighbours: the machine was twice as slow in the second round, for both.
func TestRatioComesFromNeighbours(t *testing.T) {
	if got := runs("onoma", 4, 8, 4).ratio(runs("nsd", 5, 10, 5)); got != 0.8 {
		t.Errorf("ratio %v, expected 0.8", got)
	}
}

func sampleReport() *report {
	small := profileResult{Name: "tld", Title: "A <small> TLD", Loads: true, Delegations: 1_000_000,
		Servers: []serverResult{runs("floor", 4), runs("onoma", 5, 5), runs("nsd", 6, 7)}}
	large := profileResult{Name: "tld10m", Title: "large", Loads: true, Delegations: 10_000_000, Servers: []serverResult{runs("onoma", 5.5)}}
	large.Servers[0].PSSStart += 9 * 40_000_000
	small.Servers[1].Load = &loadResult{Wall: 0.5, CPU: 0.9}
	return &report{Profiles: []profileResult{small, large}}
}

func TestPage(t *testing.T) {
	text := sampleReport().text()
	for _, want := range []string{
		"| A <small> TLD | 5.00 | 6.50, nsd | **0.77** | 0.80 |",
		"0.50 (0.90)",
		"| onoma | tld to tld10m | 40 | 6.4 |",
		"onoma 1.10",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
}

func TestSpliceKeepsProse(t *testing.T) {
	page := "# Head\n" + pageBegin + "\nold\n" + pageEnd + "\ntail\n"
	got, err := splice(page, "new\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := "# Head\n" + pageBegin + "\n\nnew\n\n" + pageEnd + "\ntail\n"; got != want {
		t.Errorf("got %q, expected %q", got, want)
	}
	if again, _ := splice(got, "new\n"); again != got {
		t.Errorf("the second time it is %q", again)
	}
	if _, err := splice("no marks", "new"); err == nil {
		t.Error("a page without marks was written to")
	}
}

// TestMergeKeepsOtherProfiles: measuring one profile anew must not cost the rest.
func TestMergeKeepsOtherProfiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	if err := sampleReport().merge(path); err != nil {
		t.Fatal(err)
	}
	anew := &report{Profiles: []profileResult{{Name: "tld10m", Servers: []serverResult{runs("onoma", 9)}}, {Name: "hosts"}}}
	if err := anew.merge(path); err != nil {
		t.Fatal(err)
	}
	var got report
	if err := got.read(path); err != nil {
		t.Fatal(err)
	}
	if len(got.Profiles) != 3 || got.Profiles[0].Name != "hosts" || got.profile("tld").server("nsd") == nil || got.profile("tld10m").server("onoma").cpu() != 9 {
		t.Errorf("the file holds %+v", got)
	}
}

func TestPlotsAreXML(t *testing.T) {
	dir := t.TempDir()
	if err := sampleReport().draw(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{cpuPlot, loadPlot} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), "A &lt;small&gt; TLD") {
			t.Errorf("%s does not name the profile", name)
		}
		for d := xml.NewDecoder(strings.NewReader(string(b))); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

// TestQuick measures with tiny zones: every kind of transport that needs nothing but onoma and dnsperf, NSD as referee
// and rival where it is installed.
func TestQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	if runtime.GOOS != "linux" || runtime.NumCPU() < 2 {
		t.Skip("bench wants Linux and two processors")
	}
	for _, program := range []string{"dnsperf", "taskset"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	onoma := filepath.Join(t.TempDir(), "onoma")
	if out, err := exec.Command("go", "build", "-o", onoma, "onoma/cmd/onoma").CombinedOutput(); err != nil {
		t.Fatalf("building onoma: %v\n%s", err, out)
	}
	o, err := parseFlags([]string{"-quick", "-no-latency", "-profiles", "tld,hosting,tcp-1,dot,doq", "-servers", "onoma,nsd", "-onoma", onoma, "-cache", t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	r, err := measureAll(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range o.profiles {
		p := r.profile(name)
		if p == nil || p.server("onoma") == nil || p.server("onoma").cpu() <= 0 || p.server("onoma").PSSEnd <= 0 {
			t.Errorf("profile %s says nothing of onoma: %+v", name, p)
		}
		if p != nil && p.Loads && p.server("onoma") != nil && (p.server("onoma").Load == nil || p.server("onoma").Snapshot == nil) {
			t.Errorf("profile %s has no load time of onoma", name)
		}
	}
}
