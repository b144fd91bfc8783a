package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/zone"
)

const (
	routeZone         = routeZones + "/{zone}"
	routeBackup       = "/v1/store/backup"
	routeCheckStore   = "/v1/store/check"
	routeReloadConfig = "/v1/config/reload"
)

// staffZones adds the routes of zones that change. They are those of docs/control.md.
func (s *Server) staffZones(d *ZoneDesk) {
	if d.List != nil {
		s.Route("GET "+routeZones, func(*http.Request) (any, error) { return Listing[ZoneLine](d.List()), nil })
	}
	for _, x := range []struct {
		pattern string
		answer  func(*http.Request, zone.ID) (any, error)
	}{
		{"GET " + routeZone, d.detail},
		{"GET " + routeZone + "/text", d.text},
		{"GET " + routeZone + "/propagation", d.propagation},
		{"GET " + routeZone + "/wait", d.wait},
		{"GET " + routeZone + "/versions", d.log},
		{"GET " + routeZone + "/versions/{version}/text", d.text},
		{"GET " + routeZone + "/diff", d.diff},
		{"GET " + routeZone + "/blame", d.blame},
		{"GET " + routeZone + "/refused/text", d.refused},
		{"POST " + routeZone + "/changes", d.change},
		{"POST " + routeZone + "/rollback", d.rollback},
		{"POST " + routeZone + "/reload", asked(d.Reload, "does not read that zone from a file")},
		{"POST " + routeZone + "/take-file", asked(d.TakeFile, "does not read that zone from a file")},
		{"POST " + routeZone + "/refresh", asked(d.Refresh, "has no secondary zones")},
		{"POST " + routeZone + "/retransfer", asked(d.Retransfer, "has no secondary zones")},
		{"POST " + routeZone + "/notify", asked(d.Notify, "does not send NOTIFY")},
	} {
		s.Route(x.pattern, func(r *http.Request) (any, error) {
			id, err := zoneOf(r)
			if err != nil {
				return nil, err
			}
			return x.answer(r, id)
		})
	}
	s.staffKeys(d)
	s.Route("POST "+routeBackup, d.backup)
	s.Route("POST "+routeCheckStore, d.checkStore)
	s.Route("POST "+routeReloadConfig, d.reloadConfig)
}

// zoneOf returns the zone that a request names.
func zoneOf(r *http.Request) (zone.ID, error) {
	name, err := dns.ParseNameIDNA(r.PathValue("zone"))
	if err != nil {
		return zone.ID{}, badRequest(fmt.Sprintf("%q is not a zone's name: %v", r.PathValue("zone"), err), "")
	}
	return zone.IDOf(r.URL.Query().Get("view"), name), nil
}

// number reads a number of the query; it is std where that has none.
func number(r *http.Request, key string, std, least, most uint64) (uint64, error) {
	text := r.URL.Query().Get(key)
	if text == "" {
		return std, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n < least || n > most {
		return 0, badRequest(fmt.Sprintf("%s %q: expected a number from %d to %d", key, text, least, most), "")
	}
	return n, nil
}

// body reads the JSON of a request.
func body(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &Problem{
			Status: http.StatusRequestEntityTooLarge, Code: "too-large", Message: fmt.Sprintf("the request is longer than %d octets", large.Limit),
			Hint: "make several changes of it, or change the zone by its file",
		}
	case err != nil:
		return badRequest("the request is not the JSON that was expected: "+err.Error(), "")
	}
	return nil
}

const noHistory = "keeps no history of zones"

func (d *ZoneDesk) detail(r *http.Request, id zone.ID) (any, error) {
	if d.Detail == nil {
		return nil, cannot("does not tell about single zones")
	}
	z, err := d.Detail(r.Context(), id)
	if err == nil && d.Propagation != nil {
		var p Propagation
		if p, err = d.Propagation(id); err == nil {
			z.Propagation = &p
		} else if errors.Is(err, zone.ErrUnknown) {
			err = nil // it is one that nobody follows
		}
	}
	return z, err
}

func (d *ZoneDesk) text(r *http.Request, id zone.ID) (any, error) {
	if d.At == nil {
		return nil, cannot(noHistory)
	}
	n := uint64(0)
	if text := r.PathValue("version"); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 64); err != nil || n == 0 {
			return nil, badRequest(fmt.Sprintf("version %q: expected a number from 1", text), "")
		}
	}
	v, err := d.At(r.Context(), id, n)
	return zoneText(v), err
}

func (d *ZoneDesk) refused(r *http.Request, id zone.ID) (any, error) {
	if d.Refused == nil {
		return nil, cannot("keeps no refused versions")
	}
	return d.Refused(r.Context(), id)
}

func zoneText(v *zone.Version) Text {
	return func(w io.Writer) error { return zonefile.Write(w, v.Origin(), v.Records()) }
}

func (d *ZoneDesk) propagation(_ *http.Request, id zone.ID) (any, error) {
	if d.Propagation == nil {
		return nil, cannot("does not follow zones to their secondaries")
	}
	return d.Propagation(id)
}

// The time to wait for secondaries.
const (
	waitUsual   = 10 * time.Second
	waitLongest = 10 * time.Minute
)

func (d *ZoneDesk) wait(r *http.Request, id zone.ID) (any, error) {
	if d.Wait == nil || d.Propagation == nil {
		return nil, cannot("does not follow zones to their secondaries")
	}
	timeout := waitUsual
	if text := r.URL.Query().Get("timeout"); text != "" {
		var err error
		if timeout, err = time.ParseDuration(text); err != nil || timeout <= 0 || timeout > waitLongest {
			return nil, badRequest(fmt.Sprintf("timeout %q: expected a duration up to %s, such as 10s", text, waitLongest), "")
		}
	}
	now, err := d.Propagation(id)
	if err != nil {
		return nil, err
	}
	serial, err := number(r, "serial", uint64(now.Serial), 0, 1<<32-1)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	err = d.Wait(ctx, id, uint32(serial))
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	result := WaitResult{Serial: uint32(serial), InSync: err == nil, Seconds: time.Since(begun).Seconds()}
	if err != nil {
		result.Reason = err.Error()
	}
	result.Propagation, err = d.Propagation(id)
	return result, err
}

// How much of a history is told at once.
const (
	logUsual  = 50
	logMost   = 10_000
	diffLines = 100_000
)

func (d *ZoneDesk) log(r *http.Request, id zone.ID) (any, error) {
	if d.Log == nil {
		return nil, cannot(noHistory)
	}
	below, err := number(r, "below", 0, 0, 1<<63)
	if err != nil {
		return nil, err
	}
	most, err := number(r, "most", logUsual, 1, logMost)
	if err != nil {
		return nil, err
	}
	versions, err := d.Log(r.Context(), id, below, int(most))
	if versions == nil {
		versions = []VersionLine{}
	}
	return versions, err
}

func (d *ZoneDesk) diff(r *http.Request, id zone.ID) (any, error) {
	if d.Delta == nil {
		return nil, cannot(noHistory)
	}
	from, err := number(r, "from", 0, 1, 1<<63)
	if err != nil {
		return nil, err
	}
	to, err := number(r, "to", 0, 1, 1<<63)
	if err != nil {
		return nil, err
	}
	if from == 0 || to == 0 {
		return nil, badRequest("expected two versions, from and to", "")
	}
	delta, err := d.Delta(r.Context(), id, from, to)
	if err != nil {
		return nil, err
	}
	return Difference{
		From: from, To: to, Removed: lines(delta.Removed, diffLines), Added: lines(delta.Added, diffLines),
		Truncated: max(len(delta.Removed), len(delta.Added)) > diffLines,
	}, nil
}

func (d *ZoneDesk) blame(r *http.Request, id zone.ID) (any, error) {
	if d.Blame == nil {
		return nil, cannot(noHistory)
	}
	records, err := parseLines(id.Name, "name", r.URL.Query().Get("name")+" 0 IN NULL \\# 0")
	if err != nil || r.URL.Query().Get("name") == "" {
		return nil, badRequest(fmt.Sprintf("%q is not a name", r.URL.Query().Get("name")), "")
	}
	blamed, err := d.Blame(r.Context(), id, records[0].Name)
	if err == nil && len(blamed) == 0 {
		// Who writes www.example.com for zone example.com means no www.example.com.example.com.
		if whole, bad := dns.ParseName(r.URL.Query().Get("name") + "."); bad == nil && whole.IsSubdomainOf(id.Name) {
			blamed, err = d.Blame(r.Context(), id, whole)
		}
	}
	if err == nil && len(blamed) == 0 {
		err = &Problem{Status: http.StatusNotFound, Code: "none", Message: fmt.Sprintf("zone %s has no records at %s", id, records[0].Name)}
	}
	return blamed, err
}

func (d *ZoneDesk) change(r *http.Request, id zone.ID) (any, error) {
	if d.Submit == nil {
		return nil, cannot("does not take changes")
	}
	var req ChangeRequest
	if err := body(r, &req); err != nil {
		return nil, err
	}
	e, err := parseEdit(id.Name, &req)
	if err != nil {
		return nil, err
	}
	receipts, err := d.Submit(r.Context(), zone.Change{Zone: id, By: author(r, zone.DoorAPI, req.Comment), Edit: e.apply, Base: req.Base})
	if err != nil {
		return nil, err
	}
	return receipt(receipts[0]), nil
}

func (d *ZoneDesk) rollback(r *http.Request, id zone.ID) (any, error) {
	if d.Rollback == nil {
		return nil, cannot(noHistory)
	}
	var req RollbackRequest
	if err := body(r, &req); err != nil {
		return nil, err
	}
	if req.Version == 0 {
		return nil, badRequest("which version?", `"onoma ctl zone log" lists them`)
	}
	done, err := d.Rollback(r.Context(), id, req.Version, req.Base, author(r, zone.DoorRollback, req.Comment))
	if err != nil {
		return nil, err
	}
	return receipt(done), nil
}

func receipt(r zone.Receipt) Receipt {
	return Receipt{
		Zone: r.Zone.Name.String(), View: r.Zone.View, Version: r.Version, Serial: r.Serial,
		Changed: r.Changed, Removed: r.Removed, Added: r.Added, At: r.At,
	}
}

// asked answers a request to do something with a zone.
func asked(do func(context.Context, zone.ID) (string, error), without string) func(*http.Request, zone.ID) (any, error) {
	return func(r *http.Request, id zone.ID) (any, error) {
		if do == nil {
			return nil, cannot(without)
		}
		result, err := do(r.Context(), id)
		return Done{Zone: id.String(), Result: result}, err
	}
}

func (d *ZoneDesk) backup(r *http.Request) (any, error) {
	if d.Backup == nil {
		return nil, cannot("has no database")
	}
	var req BackupRequest
	if err := body(r, &req); err != nil {
		return nil, err
	}
	if !filepath.IsAbs(req.File) {
		return nil, badRequest(fmt.Sprintf("file %q: expected an absolute path on the server's machine", req.File), "")
	}
	octets, err := d.Backup(r.Context(), req.File)
	return BackupResult{File: req.File, Octets: octets}, err
}

func (d *ZoneDesk) checkStore(r *http.Request) (any, error) {
	if d.CheckStore == nil {
		return nil, cannot("has no database")
	}
	problems, err := d.CheckStore(r.Context())
	if problems == nil {
		problems = []string{}
	}
	return StoreCheck{Sound: len(problems) == 0, Problems: problems}, err
}

func (d *ZoneDesk) reloadConfig(r *http.Request) (any, error) {
	if d.ReloadConfig == nil {
		return nil, cannot("has no configuration file")
	}
	return d.ReloadConfig(r.Context())
}
