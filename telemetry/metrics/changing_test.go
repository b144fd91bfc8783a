package metrics

import (
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"onoma/telemetry"
)

// changing is a server with a secondary that is behind.
func changing() *telemetry.Changing {
	var out telemetry.TransferCounter
	out.Count("ixfr", 7, 258, nil)
	out.Count("ixfr", 3, 42, nil)
	out.Count("axfr", 0, 0, errors.New("broken"))
	return &telemetry.Changing{
		Changes: []telemetry.ChangeCount{{Door: "update", Outcome: "committed", Count: 9}, {Door: "file", Outcome: "refused", Count: 1}},
		Refused: map[string]uint64{"semantics": 1},
		Commits: telemetry.Latencies([]time.Duration{time.Millisecond, time.Second}, []uint64{5, 2, 1}, 3*time.Second),
		Saved:   10, Queue: 2, Updates: map[string]uint64{"NOERROR": 9},
		TransfersOut: out.Counts(), NotifyOut: map[string]uint64{"sent": 4}, NotifyIn: map[string]uint64{"refused": 1},
		States: []telemetry.StateCount{{Kind: "secondary", State: "expired", Count: 1}},
		Propagation: &telemetry.Propagations{
			Zones: 3, Lagging: 1, Secondaries: map[string]int{"in sync": 11, "behind": 1}, Failing: 1, Asked: 20, Unanswered: 3, LagSeconds: 1.5,
			Worst: []telemetry.ZoneLag{{Zone: `b\"c.example.`, View: "in", Serial: 4, Behind: 1, Seconds: 1.5}},
		},
		Signing: &telemetry.Signing{
			Zones: map[string]int{"signed": 12, "unsigned": 1, "by authors": 2}, Alarming: 2, Withdrawn: 1, Rolling: 3, Keys: map[string]int{"active": 13},
			Signatures: 12345, ExpiresIn: 86400, ClockOff: -3600, Online: map[string]uint64{"signed": 5, "refused": 1}, Parents: map[string]int{"secure": 11},
			Asked: map[string]uint64{"failed": 6}, Looks: map[string]uint64{"changed": 7},
			Worst: []telemetry.Trouble{{Zone: "a.example.", View: "in", Withdrawn: true, Text: "it would be\nbogus"}},
		},
		StoreBytes: 4096,
	}
}

func TestMetricsOfZonesThatChange(t *testing.T) {
	s := Source{
		Report: func() telemetry.Report {
			r := report(t, true)
			r.Changing = changing()
			return r
		},
		Zones: func() iter.Seq[telemetry.Zone] { return slices.Values([]telemetry.Zone(nil)) },
	}
	status, page := get(t, s, "/metrics")
	if status != 200 {
		t.Fatalf("status %d: %s", status, page)
	}
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil {
		t.Fatalf("Prometheus cannot read the page: %v\n%s", err, page)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, line := range []string{
		`onoma_signing_zones{state="by authors"} 2`,
		`onoma_signing_alarming_zones 2`,
		`onoma_signing_withdrawn_zones 1`,
		`onoma_signing_rollovers 3`,
		`onoma_signing_keys{phase="active"} 13`,
		`onoma_signing_signatures_total 12345`,
		`onoma_signing_earliest_expiration_seconds 86400`,
		`onoma_signing_clock_offset_seconds -3600`,
		`onoma_signing_online_total{outcome="refused"} 1`,
		`onoma_parent_zones{condition="secure"} 11`,
		`onoma_parent_looks_total{outcome="failed"} 6`,
		`onoma_children_looks_total{verdict="changed"} 7`,
		`onoma_changes_total{door="update",outcome="committed"} 9`,
		`onoma_changes_refused_total{rule="semantics"} 1`,
		`onoma_commit_seconds_bucket{le="0.001"} 5`,
		`onoma_commit_seconds_bucket{le="1"} 7`,
		`onoma_commit_seconds_count 8`,
		`onoma_commit_seconds_sum 3`,
		`onoma_versions_saved_total 10`,
		`onoma_change_queue 2`,
		`onoma_updates_total{rcode="NOERROR"} 9`,
		`onoma_transfers_total{direction="out",kind="ixfr",outcome="done"} 2`,
		`onoma_transfers_total{direction="out",kind="axfr",outcome="failed"} 1`,
		`onoma_transfer_bytes_total{direction="out",kind="ixfr",outcome="done"} 300`,
		`onoma_notify_total{direction="out",outcome="sent"} 4`,
		`onoma_notify_total{direction="in",outcome="refused"} 1`,
		`onoma_zones_by_state{kind="secondary",state="expired"} 1`,
		`onoma_propagation_lagging_zones 1`,
		`onoma_propagation_secondaries{condition="behind"} 1`,
		`onoma_propagation_questions_failed_total 3`,
		`onoma_propagation_lag_seconds 1.5`,
		`onoma_zone_lag_seconds{view="in",zone="b\\\"c.example."} 1.5`,
		`onoma_zone_secondaries_behind{view="in",zone="b\\\"c.example."} 1`,
		`onoma_store_bytes 4096`,
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("the page lacks %s", line)
		}
	}
	if _, page := get(t, source(t, true), "/metrics"); strings.Contains(page, "onoma_change") {
		t.Error("a server whose zones do not change tells of changes")
	}
}

func TestHealthTellsOfSignedZonesThatNeedSomebody(t *testing.T) {
	s := source(t, true)
	if _, text := get(t, s, "/healthz"); text != "alive\n" {
		t.Errorf("all is well: %q", text)
	}
	s.Report = func() telemetry.Report {
		r := report(t, true)
		r.Changing = changing()
		return r
	}
	status, text := get(t, s, "/healthz")
	if want := "alive\nsigned zones that need somebody: 2, of them withdrawn: 1\na.example.@in: it would be bogus\n"; status != 200 || text != want {
		t.Errorf("status %d: %q, expected %q", status, text, want)
	}
}
