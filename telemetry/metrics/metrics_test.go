package metrics

import (
	"io"
	"iter"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"onoma/telemetry"
	"onoma/telemetry/dnstap"
	"onoma/transport"
)

// report is of a server that has answered two queries.
func report(t *testing.T, ready bool) telemetry.Report {
	t.Helper()
	h := telemetry.NewHub(telemetry.Options{})
	w := h.Watch(dnstap.Authority, transport.WorkerFunc(func(dst []byte, q *transport.Query) []byte {
		return append(append(append(dst, q.Msg[:2]...), 0x80, 3), q.Msg[4:]...)
	})).NewWorker()
	msg := []byte("\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01")
	for _, p := range []transport.Proto{transport.UDP, transport.TCP} {
		w.Answer(nil, transport.NewQuery(msg, netip.MustParseAddrPort("192.0.2.1:1024"), netip.MustParseAddrPort("192.0.2.2:53"), p, nil))
	}
	r := telemetry.NewReport(time.Now())
	r.Role, r.Version, r.Ready, r.Traffic = "authority", "v1", ready, h.Traffic()
	r.AddTransport(transport.Stats{
		UDP: transport.Counts{Queries: 1, Answers: 1, Short: 4}, TCP: transport.Counts{Queries: 1, Answers: 1},
		Loops: []transport.Counts{{Queries: 1}}, KernelDrops: 5, Conns: transport.ConnStats{Open: 1, Accepted: 3, Idle: 2},
	})
	r.Outcomes = map[string]uint64{"nxdomain": 2}
	r.Dnstap = &dnstap.Stats{Connected: true, Frames: 7}
	r.Zones.Add(telemetry.Zone{Loaded: true, Records: 10, Bytes: 100})
	r.Zones.Add(telemetry.Zone{})
	return r
}

func get(t *testing.T, s Source, path string) (status int, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(s).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	b, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(b)
}

func source(t *testing.T, ready bool) Source {
	return Source{
		Report: func() telemetry.Report { return report(t, ready) }, MaxZones: 2,
		Zones: func() iter.Seq[telemetry.Zone] {
			return slices.Values([]telemetry.Zone{{Name: "a.example.", Serial: 4294967295, Records: 10}, {Name: `b\"c.example.`}})
		},
	}
}

func TestPrometheusReadsAndLikesTheMetrics(t *testing.T) {
	status, page := get(t, source(t, true), "/metrics")
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
		`onoma_ready 1`,
		`onoma_queries_total{class="in",edns="none",family="ipv4",transport="tcp"} 1`,
		`onoma_query_types_total{type="A"} 2`,
		`onoma_responses_total{rcode="NXDOMAIN"} 2`,
		`onoma_response_size_bytes_bucket{carrier="udp",le="64"} 1`,
		`onoma_response_size_bytes_sum{carrier="stream"} 19`,
		`onoma_authority_outcomes_total{outcome="nxdomain"} 2`,
		`onoma_transport_dropped_total{reason="short",transport="udp"} 4`,
		`onoma_udp_kernel_drops_total 5`,
		`onoma_connections{transport="tcp"} 1`,
		`onoma_connections_closed_total{reason="idle",transport="tcp"} 2`,
		`onoma_loop_queries_total{loop="0"} 1`,
		`onoma_zones 2`,
		`onoma_zones_missing 1`,
		`onoma_zone_serial{zone="a.example."} 4.294967295e+09`,
		`onoma_dnstap_connected 1`,
	} {
		if !strings.Contains(page, "\n"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	for _, name := range []string{"onoma_build_info{", "go_goroutines ", "process_start_time_seconds "} {
		if !strings.Contains(page, "\n"+name) {
			t.Errorf("no metric %s", name)
		}
	}
}

func TestManyZonesAreOnlySummedUp(t *testing.T) {
	s := source(t, true)
	s.MaxZones = 1
	if _, page := get(t, s, "/metrics"); strings.Contains(page, "onoma_zone_serial") || !strings.Contains(page, "onoma_zones_records 10") {
		t.Errorf("two zones, one allowed: %s", page)
	}
}

func TestReadiness(t *testing.T) {
	for ready, want := range map[bool]int{true: 200, false: 503} {
		if status, text := get(t, source(t, ready), "/readyz"); status != want {
			t.Errorf("ready %v: status %d (%s), expected %d", ready, status, text, want)
		}
	}
	if status, _ := get(t, source(t, false), "/healthz"); status != 200 {
		t.Errorf("alive, but not ready: status %d, expected 200", status)
	}
}

// TestEveryMetricIsExplained compares the page for people with what there is.
func TestEveryMetricIsExplained(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "telemetry.md"))
	if err != nil {
		t.Fatal(err)
	}
	told := make(map[string]bool)
	for _, name := range regexp.MustCompile("`(onoma_[a-z_]+)`").FindAllStringSubmatch(string(page), -1) {
		told[name[1]] = true
	}
	for _, d := range slices.Concat(all, allChanging, allSigning, allResolving) {
		name := regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(d.String())[1]
		if !told[name] {
			t.Errorf("docs/telemetry.md does not explain %s", name)
		}
		delete(told, name)
	}
	for name := range told {
		t.Errorf("docs/telemetry.md explains %s, which does not exist", name)
	}
}
