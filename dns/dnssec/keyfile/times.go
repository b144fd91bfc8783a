package keyfile

import (
	"strconv"
	"strings"
	"time"
)

// Times is when something happens or has happened to a key; zero: it is not said.
type Times struct {
	Created     time.Time
	Publish     time.Time // the DNSKEY record is in the zone
	Activate    time.Time // it signs
	Revoke      time.Time // RFC 5011
	Inactive    time.Time // it signs no longer
	Delete      time.Time // the DNSKEY record is gone
	DSPublish   time.Time // the parent has the DS
	DSDelete    time.Time // the parent has it no longer
	SyncPublish time.Time // CDS and CDNSKEY are in the zone (RFC 7344)
	SyncDelete  time.Time // they are gone
}

// Meta is what files say of a key apart from the key.
type Meta struct {
	Times
	TTL         uint32 // of the DNSKEY record, where HasTTL
	HasTTL      bool
	Predecessor uint16 // the tag of the key that this one succeeds, or 0
	Successor   uint16
	State       *State // what BIND's key manager keeps of it; nil: nothing
	// Warnings are sentences for the operator: files that others may read.
	Warnings []string
}

// timeField joins the words that files have for a time with the time.
type timeField struct {
	private string // in .private files; and, if public, in the comments of .key
	state   string // in .state files
	at      func(*Times) *time.Time
}

var timeFields = []timeField{
	{"Created", "Generated", func(t *Times) *time.Time { return &t.Created }},
	{"Publish", "Published", func(t *Times) *time.Time { return &t.Publish }},
	{"Activate", "Active", func(t *Times) *time.Time { return &t.Activate }},
	{"Revoke", "Revoked", func(t *Times) *time.Time { return &t.Revoke }},
	{"Inactive", "Retired", func(t *Times) *time.Time { return &t.Inactive }},
	{"Delete", "Removed", func(t *Times) *time.Time { return &t.Delete }},
	{"DSPublish", "DSPublish", func(t *Times) *time.Time { return &t.DSPublish }},
	{"", "DSRemoved", func(t *Times) *time.Time { return &t.DSDelete }},
	{"SyncPublish", "PublishCDS", func(t *Times) *time.Time { return &t.SyncPublish }},
	{"SyncDelete", "DeleteCDS", func(t *Times) *time.Time { return &t.SyncDelete }},
}

const (
	timeForm     = "20060102150405"
	timeExpected = "a time such as 20260131120000 was expected (year, month, day, hour, minute, second of UTC)"
)

// parseTime reads a time, of which .state files and comments repeat the sense in
// parentheses. Zero is an absent time.
func parseTime(s string) (time.Time, bool) {
	s, _, _ = strings.Cut(s, " ")
	if s == "0" || s == "00000000000000" {
		return time.Time{}, true
	}
	t, err := time.Parse(timeForm, s)
	return t, err == nil && !t.IsZero()
}

func timeText(t time.Time) string { return t.UTC().Format(timeForm) }

// senseText is a time with its sense for people behind it.
func senseText(t time.Time) string {
	return timeText(t) + " (" + t.UTC().Format("Mon Jan _2 15:04:05 2006") + ")"
}

// settle cuts times to what files can hold: seconds, and years of four digits.
func (t Times) settle() Times {
	for _, f := range timeFields {
		at := f.at(&t)
		if at.IsZero() || at.Year() < 1 || at.Year() > 9999 {
			*at = time.Time{}
			continue
		}
		*at = at.UTC().Truncate(time.Second)
	}
	return t
}

// merge takes from o what t does not say.
func (t *Times) merge(o Times) {
	for _, f := range timeFields {
		if at := f.at(t); at.IsZero() {
			*at = *f.at(&o)
		}
	}
}

// field is a line 'Name: value'.
type field struct {
	line        int
	name, value string
}

// fields splits text into its lines. Lines that begin with ';' are comments; of
// .key files they are what is wanted, and comments says so.
func fields(file, text string, comments bool) ([]field, error) {
	var fs []field
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		rest, isComment := strings.CutPrefix(line, ";")
		if strings.TrimSpace(line) == "" || isComment != comments {
			continue
		}
		name, value, found := strings.Cut(rest, ":")
		if !found {
			if comments {
				continue
			}
			return nil, mistake(file, n, "%q: 'Name: value' was expected", clip(line))
		}
		fs = append(fs, field{n, strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	return fs, nil
}

// clip shortens what an error repeats.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

func (f field) tag(file string) (uint16, error) {
	n, err := strconv.ParseUint(f.value, 10, 16)
	if err != nil {
		return 0, mistake(file, f.line, "%s %q: a key tag from 0 to 65535 was expected", f.name, clip(f.value))
	}
	return uint16(n), nil
}

func (f field) time(file string) (time.Time, error) {
	t, ok := parseTime(f.value)
	if !ok {
		return t, mistake(file, f.line, "%s %q: %s", f.name, clip(f.value), timeExpected)
	}
	return t, nil
}
