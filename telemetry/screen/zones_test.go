package screen

import (
	"strings"
	"testing"
	"time"

	"onoma/telemetry"
	"onoma/telemetry/control"
)

var now = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func before(d time.Duration) time.Time { return now.Add(-d) }

func version(n uint64, at time.Duration, door, author, comment string) control.VersionLine {
	return control.VersionLine{Number: n, Serial: 2026030400 + uint32(n), At: before(at), Door: door, Author: author, Comment: comment, Removed: 1, Added: int(n)}
}

var propagation = control.Propagation{
	Serial: 2026030407, Published: before(2 * time.Minute),
	Secondaries: []control.Secondary{
		{Address: "192.0.2.1:53", Condition: "in sync", Serial: 2026030407, Seen: before(time.Minute)},
		{Address: "192.0.2.2:53", Condition: "behind", Serial: 2026030406, Seen: before(3 * time.Minute), Lag: 120, Error: "timed out"},
		{Address: "[2001:db8::1]:53", Condition: "unknown", Error: "it answers REFUSED"},
		{Address: "192.0.2.3:5353", Condition: "ahead", Serial: 2026030410, Seen: before(time.Second), WentBack: before(time.Hour), Lag: 0.0321},
	},
}

var detail = control.ZoneDetail{
	Signing: &control.SigningLine{Policy: "default", State: "signed", Alarm: "the disk is full"},
	ZoneLine: control.ZoneLine{
		Name: "example.com.", View: "inside", Kind: "primary", State: control.Refused, Reason: "removes 40 % of the names",
		Loaded: true, Version: 7, Serial: 2026030407, Names: 1200, Records: 3400, Bytes: 123456,
	},
	Published: before(2 * time.Minute), Doors: []string{"file", "update"}, File: "/etc/onoma/example.com.zone", Catalog: "catalog.example.",
	History:     &control.HistorySize{Versions: 7, Octets: 12345, Oldest: before(50 * time.Hour)},
	Timers:      &control.Timers{Refreshed: before(time.Minute), Refresh: before(-time.Hour), Expire: before(-100 * time.Hour)},
	Primaries:   []control.Primary{{Address: "192.0.2.9:853", Transport: "tls", Key: "k.", Serial: 2026030407, Contact: before(time.Minute)}, {Address: "192.0.2.10:53", Error: "connection refused"}},
	Refusal:     &control.Refusal{Rule: "removal-limit", Reason: "removes 40 % of the names", Findings: []string{"a. A: is gone", "b. A: is gone"}, Serial: 2026030408, Author: "key:ddns.", At: before(30 * time.Second)},
	Propagation: &propagation,
}

var pages = []struct {
	name string
	draw func(Page) error
}{
	{"zone_list", func(p Page) error {
		return p.Zones([]control.ZoneLine{
			{Name: "example.com.", Kind: "primary", State: control.Served, Loaded: true, Version: 12, Serial: 2026030412, Records: 1234, Bytes: 99999, Secondaries: 4, InSync: 3},
			detail.ZoneLine,
			{Name: "example.org.", Kind: "secondary", State: control.Loading},
			{Name: "signed.example.", Kind: "primary", State: control.Served, Loaded: true, Version: 3, Serial: 3, Records: 99, Bytes: 9999, Alarm: "the private key of key 12345 is gone"},
		})
	}},
	{"zone_status", func(p Page) error { return p.Zone(detail) }},
	{"zone_log", func(p Page) error {
		return p.Log([]control.VersionLine{
			version(12, 90*time.Second, "update", "key:ddns.example.", ""),
			version(11, 26*time.Hour, "api", "user:maria", "a comment\nof two \x1b[31mlines"),
			version(1, 900*time.Hour, "file", "file:/etc/zones/example.com", ""),
		})
	}},
	{"zone_blame", func(p Page) error {
		return p.Blame([]control.Blamed{
			{Record: "www.example.com. 300 IN A 192.0.2.1", VersionLine: version(12, time.Hour, "api", "user:maria", "moved")},
			{Record: "www.example.com. 300 IN A 192.0.2.2", VersionLine: version(3, 10*time.Hour, "file", "", ""), Older: true},
		})
	}},
	{"zone_diff", func(p Page) error {
		return p.Difference(control.Difference{Removed: []string{"a. 1 IN A 192.0.2.1"}, Added: []string{"a. 1 IN A 192.0.2.2", "b. 1 IN A 192.0.2.3"}, Truncated: true})
	}},
	{"zone_wait", func(p Page) error {
		p.Wait("example.com.", control.WaitResult{Serial: 7, InSync: true, Seconds: 0.0312, Propagation: propagation})
		p.Wait("example.com.", control.WaitResult{Serial: 7, InSync: true})
		p.Wait("example.com.", control.WaitResult{Serial: 2026030409, Seconds: 1, Propagation: control.Propagation{Serial: 2026030407}})
		p.Receipt(control.Receipt{Zone: "example.com.", View: "inside", Version: 8, Serial: 9, Changed: true, Added: 2, Removed: 1})
		p.Receipt(control.Receipt{Zone: "example.com.", Version: 8, Serial: 9})
		return p.Wait("example.com.", control.WaitResult{Serial: 2026030407, Seconds: 10, Propagation: propagation})
	}},
}

func TestPagesAboutZones(t *testing.T) {
	for _, c := range pages {
		var b strings.Builder
		if err := c.draw(Page{W: &b, Now: now}); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		golden(t, c.name, b.String())
		if strings.Contains(b.String(), "\x1b") {
			t.Errorf("%s: what others have written may move the cursor", c.name)
		}
	}
}

func TestDifferencesHaveColoursOnTerminals(t *testing.T) {
	var b strings.Builder
	if err := (Page{W: &b, Now: now, Colour: true}).Difference(control.Difference{Removed: []string{"a"}, Added: []string{"b"}}); err != nil {
		t.Fatal(err)
	}
	if want := "\x1b[31m-a\x1b[0m\n\x1b[32m+b\x1b[0m\n"; b.String() != want {
		t.Errorf("%q, expected %q", b.String(), want)
	}
}

func TestStatsOfZonesThatChange(t *testing.T) {
	r := report(2)
	r.Changing = &telemetry.Changing{
		Changes: []telemetry.ChangeCount{{Door: "update", Outcome: "committed", Count: 1234}, {Door: "file", Outcome: "refused", Count: 1}},
		Refused: map[string]uint64{"semantics": 1}, Saved: 1234, Queue: 3, StoreBytes: 5 << 20,
		Commits:      telemetry.Latencies([]time.Duration{time.Second}, []uint64{400, 0}, 500*time.Millisecond),
		Updates:      map[string]uint64{"NOERROR": 1234, "REFUSED": 2},
		TransfersOut: []telemetry.TransferCount{{Kind: "ixfr", Outcome: "done", Count: 8, Octets: 12345}},
		NotifyOut:    map[string]uint64{"sent": 20, "acknowledged": 19}, NotifyIn: map[string]uint64{"taken": 1},
		States: []telemetry.StateCount{{Kind: "primary", State: "served", Count: 2}},
		Propagation: &telemetry.Propagations{
			Secondaries: map[string]int{"in sync": 3, "behind": 1}, Failing: 1, Worst: []telemetry.ZoneLag{{Zone: "a.", View: "in", Serial: 7, Behind: 1, Seconds: 90}},
		},
	}
	var b strings.Builder
	if err := WriteStats(&b, &r); err != nil {
		t.Fatal(err)
	}
	golden(t, "stats_changing", b.String())
}
