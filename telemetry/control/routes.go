package control

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"time"

	"onoma/telemetry"
)

const (
	routeReport = "/v1/report"
	routeTop    = "/v1/top"
	routeZones  = "/v1/zones"
	routeReload = "/v1/reload"
	routeDump   = "/v1/dump"
)

// Desk is what a server lets its operator see and do. A field that is nil is a thing that this server cannot do.
type Desk struct {
	Report func() telemetry.Report
	Top    func(window time.Duration, n int) telemetry.Top
	Zones  func() iter.Seq[telemetry.Zone]
	// Dump returns the text of a zone as it is served; a *Problem where there is no such zone.
	Dump func(zone string) (Text, error)
	// Reload reads a zone again, or all where the name is empty; a *Problem where there is no such zone.
	Reload func(ctx context.Context, zone string) ([]Reloaded, error)
	// Manage is what can be done about zones that change; nil where they only come from files. Its List takes the place of Zones.
	Manage *ZoneDesk
	// Resolver is what can be done about a resolver; nil where there is none.
	Resolver *ResolverDesk
}

// ReloadRequest is the body of a request to reload.
type ReloadRequest struct {
	Zone string `json:"zone"`
}

// Reloaded is what became of one zone.
type Reloaded struct {
	Zone   string `json:"zone"`
	Serial uint32 `json:"serial"`          // in service now
	Error  string `json:"error,omitempty"` // why the version before stays in service
}

// maxReason is how much of what is wrong with a zone goes to who asked for it to be read; the log has all.
const maxReason = 4096

// Fail says why the version before stays in service; an empty reason says nothing.
func (r *Reloaded) Fail(reason string) { r.Error = reason[:min(len(reason), maxReason)] }

// Staff adds the standard routes.
func (s *Server) Staff(d Desk) {
	s.Route("GET "+routeReport, func(*http.Request) (any, error) { return d.Report(), nil })
	s.Route("GET "+routeTop, d.top)
	if d.Manage != nil {
		s.staffZones(d.Manage)
	}
	if d.Resolver != nil {
		s.staffResolver(d.Resolver)
	} else {
		s.Route("/v1/resolver/", func(*http.Request) (any, error) { return nil, cannot("has no resolver") })
	}
	if d.Manage == nil || d.Manage.List == nil {
		s.Route("GET "+routeZones, d.zones)
	}
	s.Route("POST "+routeReload, d.reload)
	s.Route("GET "+routeDump, d.dump)
}

func cannot(what string) error {
	return &Problem{Status: http.StatusNotImplemented, Code: "unsupported", Message: "this server " + what}
}

const maxTop = 256

func (d Desk) top(r *http.Request) (any, error) {
	if d.Top == nil {
		return nil, cannot("does not look for heavy hitters")
	}
	window, err := time.ParseDuration(r.FormValue("window"))
	if err != nil || window < time.Second || window > telemetry.Minute {
		return nil, &Problem{Status: http.StatusBadRequest, Message: fmt.Sprintf("window %q: expected 1s to 1m", r.FormValue("window"))}
	}
	n, err := strconv.Atoi(r.FormValue("n"))
	if err != nil || n < 1 || n > maxTop {
		return nil, &Problem{Status: http.StatusBadRequest, Message: fmt.Sprintf("n %q: expected 1 to %d", r.FormValue("n"), maxTop)}
	}
	return d.Top(window, n), nil
}

func (d Desk) zones(*http.Request) (any, error) {
	if d.Zones == nil {
		return nil, cannot("has no zones")
	}
	return Listing[telemetry.Zone](d.Zones()), nil
}

func (d Desk) dump(r *http.Request) (any, error) {
	if d.Dump == nil {
		return nil, cannot("has no zones")
	}
	return d.Dump(r.FormValue("zone"))
}

func (d Desk) reload(r *http.Request) (any, error) {
	if d.Reload == nil {
		return nil, cannot("has nothing to reload")
	}
	var req ReloadRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		return nil, &Problem{Status: http.StatusBadRequest, Message: "the request is not JSON: " + err.Error()}
	}
	return d.Reload(r.Context(), req.Zone)
}
