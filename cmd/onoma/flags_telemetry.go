package main

import (
	"crypto/rand"
	"fmt"

	"onoma/telemetry/dnstap"
	"onoma/telemetry/querylog"
)

// telemetryFlags say what a server tells of itself, and to whom. Without any of them nothing is watched.
type telemetryFlags struct {
	Metrics        string   `group:"Telemetry" placeholder:"ADDR:PORT" help:"Serve metrics for Prometheus on http://ADDR:PORT/metrics, and /healthz and /readyz. There is no password: use an address that only your network reaches."`
	Control        string   `group:"Telemetry" placeholder:"PATH" env:"ONOMA_CONTROL" help:"Create a socket at this path for \"onoma ctl\"; only this user may open it."`
	TopSample      int      `group:"Telemetry" placeholder:"N" default:"16" help:"Look for the most frequent names and clients in one of N queries (${default}), for \"onoma ctl top\"; 0 for not at all."`
	Dnstap         string   `group:"Telemetry" placeholder:"URL" help:"Tell of queries and answers by dnstap: to unix:///path or tcp://host:port, or into file:///path, of which SIGHUP begins a new one."`
	DnstapSample   int      `group:"Telemetry" placeholder:"N" default:"1" help:"Tell dnstap of one of N queries (${default})."`
	DnstapMessages []string `group:"Telemetry" placeholder:"WHICH" default:"queries,responses" help:"What dnstap is told of: queries, responses, or both (${default})."`

	QueryLog        string `group:"Telemetry" placeholder:"FILE" help:"Write a line of JSON for each answer to this file, which SIGHUP opens anew."`
	QueryLogClients string `group:"Telemetry" placeholder:"HOW" enum:"full,network,pseudonym,none" default:"network" help:"How the log of queries has clients: full, network (/24, /48), pseudonym (the same for one client as long as the server runs) or none (${default})."`
	QueryLogNames   string `group:"Telemetry" placeholder:"HOW" enum:"full,domain,none" default:"full" help:"How it has names: full, domain (what somebody has registered) or none (${default})."`
	QueryLogSample  int    `group:"Telemetry" placeholder:"N" default:"1" help:"Log one of N answers (${default})."`
}

// isOn reports whether anything is to be watched.
func (f *telemetryFlags) isOn() bool {
	return f.Metrics != "" || f.Control != "" || f.Dnstap != "" || f.QueryLog != ""
}

// tap returns the dnstap output that the flags ask for, nil for none.
func (f *telemetryFlags) tap(a *app, identity string) (*dnstap.Output, error) {
	if f.DnstapSample < 1 {
		return nil, fmt.Errorf("--dnstap-sample %d: expected 1 or more", f.DnstapSample)
	}
	cfg := dnstap.Config{Identity: identity, Version: "onoma " + version(), Sample: f.DnstapSample, Log: a.log}
	for _, m := range f.DnstapMessages {
		switch m {
		case "queries":
			cfg.Queries = true
		case "responses":
			cfg.Responses = true
		default:
			return nil, fmt.Errorf("--dnstap-messages %s: expected queries, responses or both", m)
		}
	}
	if f.Dnstap == "" {
		return nil, nil
	}
	var err error
	if cfg.Sink, err = dnstap.ParseSink(f.Dnstap); err != nil {
		return nil, fmt.Errorf("--dnstap: %w", err)
	}
	return dnstap.New(cfg), nil
}

// queryLog returns the output of the log of queries, nil for none.
func (f *telemetryFlags) queryLog(a *app) (*dnstap.Output, error) {
	if f.QueryLog == "" {
		return nil, nil
	}
	if f.QueryLogSample < 1 {
		return nil, fmt.Errorf("--query-log-sample %d: expected 1 or more", f.QueryLogSample)
	}
	secret := make([]byte, 32)
	rand.Read(secret) // its documentation: never fails
	return querylog.New(querylog.Config{
		File: f.QueryLog, Clients: querylog.Clients(f.QueryLogClients), Names: querylog.Names(f.QueryLogNames), Sample: f.QueryLogSample, Secret: secret, Log: a.log,
	})
}
