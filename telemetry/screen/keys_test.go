package screen

import (
	"io"
	"strings"
	"testing"
	"time"

	"onoma/telemetry"
	"onoma/telemetry/control"
)

func at(d time.Duration) time.Time { return now.Add(d) }

// states makes the four records of a key, in the order of their columns; "" is nowhere.
func states(since time.Duration, words ...string) (out []control.KeyRecord) {
	for i, w := range words {
		r := control.KeyRecord{Record: []string{"DNSKEY", "ZRRSIG", "KRRSIG", "DS"}[i], State: "hidden"}
		if w != "" {
			r.State, r.Since = w, at(-since)
		}
		out = append(out, r)
	}
	return out
}

const digest = "2BB183AF5F22588179A53B0A98631FAD1A292118C2B2C6A5A94F1C1D0D0F0C0B"

// rolling is a zone with two keys whose DS changes, at a parent with two servers.
var rolling = control.KeysView{
	Zone: "example.com.", View: "inside", Policy: "default", State: "signed", Denial: "nsec3, opt-out", Now: now,
	Expires: at(12 * 24 * time.Hour), Next: at(5 * 24 * time.Hour), Signed: 12345, Served: at(-3 * time.Hour), Whole: at(-2 * time.Hour),
	Keys: []control.Key{
		{ID: "a", Tag: 4711, Algorithm: "RSASHA256", Bits: 2048, Role: "KSK", Phase: "retired", Records: states(2*time.Hour, "omnipresent", "", "omnipresent", "unretentive")},
		{ID: "b", Tag: 11, Algorithm: "RSASHA256", Bits: 2048, Role: "KSK", Phase: "active", Records: states(2*time.Hour, "omnipresent", "", "omnipresent", "rumoured")},
		{ID: "c", Tag: 60123, Algorithm: "RSASHA256", Bits: 2048, Role: "ZSK", Phase: "active", Records: states(50*time.Hour, "omnipresent", "omnipresent", "", "")},
		{ID: "d", Tag: 60124, Algorithm: "RSASHA256", Bits: 2048, Role: "ZSK", Phase: "ready", Standby: true, Records: states(50*time.Hour, "omnipresent", "", "", "")},
		{ID: "e", Tag: 7, Algorithm: "RSASHA256", Bits: 2048, Role: "ZSK", Phase: "active", Provider: "bunny\x1b[2J", Records: states(50*time.Hour, "omnipresent", "omnipresent", "", "")},
	},
	DS:      []string{"example.com. IN DS 11 8 2 " + digest},
	CDNSKEY: []string{"example.com. IN DNSKEY 257 3 8 AwEAAQ=="},
	Parent: &control.AtParent{
		Name: "com.", Condition: "waiting", Next: at(8 * time.Second),
		Servers: []control.ParentServer{
			{Address: "192.0.2.53:53", Name: "a.nic.com.", DS: []string{"11 8 2 " + digest}, Seen: at(-2 * time.Second)},
			{Address: "[2001:db8::53]:53", DS: []string{"4711 8 2 " + digest}, Seen: at(-2 * time.Second)},
			{Address: "198.51.100.53:53", DS: []string{}, Error: "timed out", Seen: at(-time.Hour)},
			{Address: "203.0.113.53:53"},
		},
		Told:     []string{"CDS to notify.nic.com. port 53: taken"},
		Findings: []string{"The servers of com. differ: 1 of 2 have what was asked for. Nothing is to be done: it is waited until all have it."},
	},
	Waits: []control.KeyWait{
		{Key: "b", Text: "KSK 11 (algorithm 8): its DS is to come to the parent: 1 of 2 servers have it"},
		{Key: "c", Text: "ZSK 60123 (algorithm 8): caches may have sets without its signatures", Until: at(time.Hour)},
	},
	Timeline: []control.KeyStep{
		{At: at(time.Hour), Text: "all servers of the parent have the DS of KSK 11 (algorithm 8), if it does its part", What: "others"},
		{At: at(25 * time.Hour), Text: "the DS of KSK 4711 (algorithm 8) is in no cache any more", What: "state", Why: []string{"KSK 4711 (algorithm 8): caches may have a DS set with its DS"}},
		{At: at(25 * time.Hour), Text: "KSK 4711 (algorithm 8) is not needed any more, and on its way out of all caches (dead)", What: "phase"},
	},
}

// alarming is a zone that somebody should look at; its keys are of two algorithms.
var alarming = control.KeysView{
	Zone: "example.org.", Policy: "strict", State: "signed, and frozen as it is: see the alarm", Denial: "nsec", Now: now,
	Expires: at(3 * 24 * time.Hour), Next: at(-4 * 24 * time.Hour),
	Alarms: []string{"private key is lost: example.org.+013+04711+0123456789abcdef is not in /var/lib/onoma/keys: restore it there from a backup, or roll the zone over to a new key"},
	Keys:   []control.Key{{ID: "a", Tag: 4711, Algorithm: "ECDSAP256SHA256", Role: "CSK", Phase: "active", Lost: true, Records: states(time.Hour, "omnipresent", "omnipresent", "omnipresent", "unretentive")}},
	Parent: &control.AtParent{Condition: "unknown", Error: "no answer.", Findings: []string{"Who serves the parent is not known yet: no answer. It is looked for again."}},
	Waits: []control.KeyWait{
		{Text: "the private half of CSK 4711 (algorithm 13) is lost and no key can take its place", Alarm: true},
		{Text: "the DS of CSK 5 (algorithm 15) is asked for when all caches can follow it"},
	},
}

var keyPages = []struct {
	name string
	draw func(Page) error
}{
	{"zone_keys", func(p Page) error { return p.Keys(rolling) }},
	{"zone_keys_timeline", func(p Page) error { return p.Timeline(rolling, 30) }},
	{"zone_keys_nothing", func(p Page) error { return p.Timeline(alarming, 1) }},
	{"zone_keys_ds", func(p Page) error { return p.DS(rolling) }},
	{"zone_keys_alarm", func(p Page) error { return p.Keys(alarming) }},
	{"zone_keys_none", func(p Page) error {
		return p.Keys(control.KeysView{Zone: "example.net.", State: "not signed by this server", Now: now})
	}},
	{"zone_keys_new", func(p Page) error {
		return p.Keys(control.KeysView{Zone: "example.net.", State: "signed", Now: now, Keys: rolling.Keys[1:2]})
	}},
}

func TestPagesAboutKeys(t *testing.T) {
	for _, c := range keyPages {
		var b strings.Builder
		if err := c.draw(Page{W: &b, Now: now}); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		golden(t, c.name, b.String())
		for line := range strings.Lines(b.String()) {
			if n := len([]rune(line)); n > 107 && !strings.Contains(line, digest) {
				t.Errorf("%s: a line of %d columns: %q", c.name, n, line)
			}
		}
		if strings.Contains(b.String(), "\x1b") {
			t.Errorf("%s: what others have written may move the cursor", c.name)
		}
	}
}

// inTrouble is a server with signed zones that somebody should look at.
func inTrouble() telemetry.Report {
	r := report(2)
	r.Changing = &telemetry.Changing{Signing: &telemetry.Signing{
		Zones: map[string]int{"signed": 1234, "unsigned": 2, "by authors": 3}, Alarming: 8, Withdrawn: 1, Rolling: 4,
		Keys: map[string]int{"active": 1300, "ready": 2, "removed": 0}, Signatures: 12345, ExpiresIn: 3 * 86400,
		Online: map[string]uint64{"signed": 7, "cached": 70, "refused": 1}, Parents: map[string]int{"secure": 1200, "insecure": 34},
		Asked: map[string]uint64{"answered": 40, "failed": 2}, Looks: map[string]uint64{"unchanged": 9},
		Worst: []telemetry.Trouble{
			{Zone: "b.example.", Withdrawn: true, Text: "the zone is withdrawn, for it would be bogus: its first signature expires at 2026-03-04T12:01:00Z and could not be made anew: the disk is full"},
			{Zone: "a.example.", View: "inside", Text: "the parent has a DS\x1b[2J of which there is no key here"},
			{Zone: "c.example.", Text: "the clock has jumped"}, {Zone: "d.example.", Text: "the clock has jumped"}, {Zone: "e.example.", Text: "the clock has jumped"},
			{Zone: "f.example.", Text: "the clock has jumped"},
		},
	}}
	return r
}

func TestStatusTellsOfSignedZones(t *testing.T) {
	r := inTrouble()
	for name, draw := range map[string]func(io.Writer, *telemetry.Report) error{"status_signing": WriteStatus, "stats_signing": WriteStats} {
		var b strings.Builder
		if err := draw(&b, &r); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
		if strings.Contains(b.String(), "\x1b") {
			t.Errorf("%s: what others have written may move the cursor", name)
		}
	}
	well := report(2)
	if !IsAlarming(&r) || IsAlarming(&well) {
		t.Error("the exit status would be another one")
	}
}
