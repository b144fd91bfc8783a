package control

import (
	"context"
	"errors"
	"net/http"

	"onoma/zone"
)

// Problem is an error that reaches the operator as it is, with a status of HTTP and advice.
type Problem struct {
	Status   int      `json:"-"`
	Code     string   `json:"code,omitempty"` // stable, for programs: "unknown-zone", "conflict", "refused" and so on
	Message  string   `json:"error"`
	Hint     string   `json:"hint,omitempty"`
	Findings []string `json:"findings,omitempty"` // of a zone that was refused
}

func (p *Problem) Error() string { return p.Message }

// Refused reports whether what was asked for was understood and could be done, but must not be: a version that the publish
// gate does not let pass, a conflict, a record that is not there.
func (p *Problem) Refused() bool {
	switch p.Status {
	case http.StatusForbidden, http.StatusConflict, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// known are the errors that have a status and advice of their own.
var known = []struct {
	err    error
	status int
	code   string
	hint   string
}{
	{zone.ErrUnknown, http.StatusNotFound, "unknown-zone", `"onoma ctl zone list" lists the zones of the server`},
	{zone.ErrNoVersion, http.StatusNotFound, "unknown-version", `"onoma ctl zone log" lists the versions that are kept`},
	{zone.ErrConflict, http.StatusConflict, "conflict", "look at what has changed (\"onoma ctl zone log\"), and ask again without --base or with the newest version"},
	{zone.ErrReadOnly, http.StatusForbidden, "read-only", "change it where it comes from, or allow this door in the configuration"},
	{zone.ErrBusy, http.StatusServiceUnavailable, "busy", "ask again in a moment"},
	{zone.ErrOutOfZone, http.StatusUnprocessableEntity, "out-of-zone", "names are relative to the zone unless they end with a dot"},
	{zone.ErrNoSOA, http.StatusUnprocessableEntity, "no-soa", "the SOA record can be replaced, but not removed"},
	{zone.ErrMetaType, http.StatusUnprocessableEntity, "meta-type", ""},
	{zone.ErrTypes, http.StatusUnprocessableEntity, "too-many-types", ""},
	{context.DeadlineExceeded, http.StatusGatewayTimeout, "timeout", ""},
}

// problemOf returns an error as the operator gets it.
func problemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var refusal *zone.Refusal
	if errors.As(err, &refusal) {
		short := *refusal
		short.Findings = nil // they come by themselves
		p := &Problem{
			Status: http.StatusUnprocessableEntity, Code: "refused", Message: short.Error(),
			Hint: `what is served stays as it is; "onoma ctl zone status" tells more`,
		}
		for _, f := range refusal.Findings {
			p.Findings = append(p.Findings, f.String())
		}
		return p
	}
	for _, k := range known {
		if errors.Is(err, k.err) {
			return &Problem{Status: k.status, Code: k.code, Message: err.Error(), Hint: k.hint}
		}
	}
	return &Problem{Status: http.StatusInternalServerError, Message: err.Error()}
}

func badRequest(message, hint string) error {
	return &Problem{Status: http.StatusBadRequest, Code: "bad-request", Message: message, Hint: hint}
}
