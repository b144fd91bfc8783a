package inspect

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/resolver/validator"
)

// sampleHealth is a zone of which one server has an old version, with signatures
// that have expired, and whose parent has a DS too many.
func sampleHealth(t *testing.T) *Health {
	w := newWorld(t, checkNoon)
	w.add("thedns.guru.", spec{
		split: true, serial: 2026030101, past: 3 * day, text: "www A 203.0.113.42\n",
		second: &spec{serial: 2026021001, past: 20 * day}, delegation: addDS(func(d *dns.DS) { d.KeyTag = 12345 }),
	})
	w.add("guru.", spec{split: true, past: 5 * day})
	w.add(".", spec{split: true, algorithms: []uint8{15}, past: 9 * day})
	return w.check(t, "thedns.guru.")
}

// The drawings are what they were: -rewrite makes them anew.
func TestDrawChain(t *testing.T) {
	h := sampleHealth(t)
	for file, write := range map[string]func(io.Writer) error{
		"chain.svg":       h.WriteSVG,
		"chain.txt":       func(w io.Writer) error { return h.WriteTerminal(w, false) },
		"chain-color.txt": func(w io.Writer) error { return h.WriteTerminal(w, true) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		golden(t, file, b.Bytes())
	}
	text, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range h.Trust.Chain {
		for _, d := range s.DS {
			if len(d.Digest) == 0 {
				t.Errorf("%s: a DS without digest", s.Zone)
			}
		}
	}
	golden(t, "chain.json", append(text, '\n'))
}

// Every kind of chain can be drawn, and each picture is well-formed and says in
// words what colours say.
func TestDrawAllChains(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(checkCases)) {
		h := checked(t, name)
		checkDrawings(t, name, h)
		var svg, text strings.Builder
		if err := errors.Join(h.WriteSVG(&svg), h.WriteTerminal(&text, false)); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{h.Headline(), h.Trust.Status.String()} {
			if h.Trust.Status != validator.Indeterminate && !strings.Contains(svg.String(), want) {
				t.Errorf("%s: the picture lacks %q", name, want)
			}
		}
		for _, f := range h.Findings {
			if !strings.Contains(svg.String(), f.Code) || !strings.Contains(text.String(), f.Code) {
				t.Errorf("%s: %s is not told", name, f.Code)
			}
		}
	}
}

// checkDrawings holds for anything that a check may come to.
func checkDrawings(t *testing.T, name string, h *Health) {
	t.Helper()
	var svg, text bytes.Buffer
	if err := errors.Join(h.WriteSVG(&svg), h.WriteTerminal(&text, false)); err != nil {
		t.Fatal(err)
	}
	for dec := xml.NewDecoder(&svg); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%s: the picture is not XML: %v", name, err)
		}
	}
	if i := bytes.IndexFunc(text.Bytes(), func(r rune) bool { return r < ' ' && r != '\n' }); i >= 0 {
		t.Errorf("%s: the report has the control character %q", name, text.Bytes()[i])
	}
	if out, err := json.Marshal(h); err != nil || !json.Valid(out) {
		t.Errorf("%s: %v", name, err)
	}
}
