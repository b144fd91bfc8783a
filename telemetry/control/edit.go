package control

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/zone"
)

// edit is what a ChangeRequest asks for, read.
type edit struct {
	origin dns.Name
	remove []removal
	add    []dns.Record
}

// removal is what goes: a record, an RRset, or all at a name.
type removal struct {
	dns.Record
	words int // 1: of Record the name counts, 2: and the type, 3: and the rdata
	text  string
}

// noTTL stands for a TTL that was not given. RFC 2181 §8 has it as the greatest that there is.
const noTTL = 1<<31 - 1

// parseEdit reads what a request asks for.
func parseEdit(origin dns.Name, req *ChangeRequest) (*edit, error) {
	e := &edit{origin: origin}
	for i, text := range req.Add {
		records, err := parseLines(origin, fmt.Sprintf("add[%d]", i+1), text)
		if err != nil {
			return nil, err
		}
		e.add = append(e.add, records...)
	}
	for i, text := range req.Remove {
		r, err := parseRemoval(origin, fmt.Sprintf("remove[%d]", i+1), text)
		if err != nil {
			return nil, err
		}
		e.remove = append(e.remove, r...)
	}
	if len(e.add)+len(e.remove) == 0 {
		return nil, badRequest("the change is empty", "name records to add or to remove")
	}
	return e, nil
}

// parseLines reads lines of a zone file.
func parseLines(origin dns.Name, what, text string) ([]dns.Record, error) {
	r := zonefile.NewReader(strings.NewReader(text), zonefile.Options{File: what, Origin: origin, DefaultTTL: noTTL, MaxGenerate: 1 << 16, MaxErrors: 10})
	records, err := r.ReadAll()
	if err == nil && len(records) == 0 {
		err = fmt.Errorf("%s: there is no record in %q", what, text)
	}
	if err != nil {
		return nil, badRequest(err.Error(), `write a line of a zone file, such as "www 300 A 192.0.2.1"`)
	}
	return records, nil
}

// parseRemoval reads what is to go.
func parseRemoval(origin dns.Name, what, text string) ([]removal, error) {
	words := strings.Fields(text)
	if len(words) == 0 || len(words) > 2 {
		records, err := parseLines(origin, what, text)
		var out []removal
		for _, r := range records {
			out = append(out, removal{r, 3, text})
		}
		return out, err
	}
	name, err := parseLines(origin, what, words[0]+" 0 IN NULL \\# 0")
	if err != nil {
		return nil, badRequest(fmt.Sprintf("%s: %q is not a name", what, words[0]), `write "NAME", "NAME TYPE", or a whole record`)
	}
	r := removal{dns.Record{Name: name[0].Name}, len(words), text}
	if len(words) == 2 {
		t, ok := dns.ParseType(words[1])
		if !ok {
			return nil, badRequest(fmt.Sprintf("%s: %q is not a type", what, words[1]), `write "NAME", "NAME TYPE", or a whole record`)
		}
		r.Type = t
	}
	return []removal{r}, nil
}

// apply makes the change. What is to be removed has to be there: who asks for it has something else before his eyes.
func (e *edit) apply(to *zone.Editor) error {
	add := slices.Clone(e.add) // an edit may be made twice
	for i, r := range add {
		if r.TTL == noTTL {
			add[i].TTL = usualTTL(to, e.origin, r)
		}
	}
	for _, r := range e.remove {
		if !r.apply(to) {
			return &Problem{
				Status: http.StatusUnprocessableEntity, Code: "not-there",
				Message: fmt.Sprintf("%s: there is no %q to remove", e.origin, r.text), Hint: `"onoma ctl zone show" shows what is there`,
			}
		}
	}
	for _, r := range add {
		if _, err := to.Add(r); err != nil {
			return err
		}
	}
	return nil
}

func (r removal) apply(to *zone.Editor) bool {
	switch {
	case r.words == 1:
		return to.RemoveName(r.Name)
	case r.words == 2:
		return to.RemoveRRset(r.Name, r.Type)
	}
	return to.Remove(r.Record)
}

// usualTTL is that of the RRset that a record joins or takes the place of, or the SOA record's.
func usualTTL(to *zone.Editor, origin dns.Name, r dns.Record) uint32 {
	for _, at := range []struct {
		name dns.Name
		typ  dns.Type
	}{{r.Name, r.Type}, {origin, dns.TypeSOA}} {
		if n := to.Find(at.name); !n.IsZero() {
			if set, ok := n.RRset(at.typ); ok {
				return set.TTL()
			}
		}
	}
	return 3600
}

// lines returns records as lines of a zone file, most at most.
func lines(records []dns.Record, most int) []string {
	out := make([]string, 0, min(len(records), most))
	for _, r := range records[:min(len(records), most)] {
		out = append(out, string(bytes.ReplaceAll(r.AppendText(nil), []byte("\t"), []byte(" "))))
	}
	return out
}
