package main

import (
	"context"
	"log/slog"
	"testing"

	"onoma/transport"
)

type anyHandler struct{ transport.WorkerFunc }

// TestNothingIsWatchedUnasked keeps the way of a query free of instruments that no flag has asked for.
func TestNothingIsWatchedUnasked(t *testing.T) {
	a := &app{ctx: context.Background(), log: slog.New(slog.DiscardHandler)}
	h := new(anyHandler)
	off := telemetryFlags{TopSample: 16, DnstapSample: 1, DnstapMessages: []string{"queries"}}
	in, err := off.watch(a, operations{role: "authority"})
	if err != nil {
		t.Fatal(err)
	}
	if in.handler(place{handler: h}) != transport.Handler(h) {
		t.Error("a handler is wrapped although no flag asks for instruments")
	}
	in.close()
	on := off
	on.Dnstap = "tcp://127.0.0.1:9"
	if in, err = on.watch(a, operations{role: "authority"}); err != nil {
		t.Fatal(err)
	}
	if in.handler(place{handler: h}) == transport.Handler(h) {
		t.Error("a handler is not wrapped although --dnstap is given")
	}
	in.close()
	for _, bad := range []func(*telemetryFlags){
		func(f *telemetryFlags) { f.DnstapSample = 0 },
		func(f *telemetryFlags) { f.DnstapMessages = []string{"all"} },
		func(f *telemetryFlags) { f.TopSample = -1 },
		func(f *telemetryFlags) { f.Dnstap = "nonsense" },
		func(f *telemetryFlags) { f.Metrics = "nonsense" },
	} {
		f := off
		bad(&f)
		if _, err := f.watch(a, operations{}); err == nil {
			t.Errorf("%+v is taken, expected an error", f)
		}
	}
}
