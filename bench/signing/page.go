//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// The generated part of a page stands between these; what people write stands around them.
const (
	pageBegin = "<!-- signing: begin. `make bench-sign` writes from here to the end mark. -->"
	pageEnd   = "<!-- signing: end -->"
)

// publish prints the figures, and writes page and file where that was asked for.
func (r *report) publish(o options) error {
	text := r.text()
	fmt.Print(text)
	if o.json != "" {
		if err := r.keep(o.json); err != nil {
			return err
		}
	}
	if o.out == "" {
		return nil
	}
	b, err := os.ReadFile(o.out)
	if err != nil {
		return err
	}
	page, err := splice(string(b), text)
	if err != nil {
		return fmt.Errorf("%s: %w", o.out, err)
	}
	return os.WriteFile(o.out, []byte(page), 0o644)
}

func splice(page, text string) (string, error) {
	head, rest, ok := strings.Cut(page, pageBegin)
	_, tail, ok2 := strings.Cut(rest, pageEnd)
	if !ok || !ok2 {
		return "", errNoPlace
	}
	return head + pageBegin + "\n\n" + strings.TrimSpace(text) + "\n\n" + pageEnd + tail, nil
}

// keep puts the results into a JSON file and leaves all else that it has.
func (r *report) keep(path string) error {
	all := make(map[string]json.RawMessage)
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if all["signing"], err = json.Marshal(r); err != nil {
		return err
	}
	if b, err = json.MarshalIndent(all, "", " "); err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

func (r *report) text() string {
	var w strings.Builder
	for _, t := range r.Tables {
		t.write(&w)
	}
	if c := r.Changed; c != nil && c.Changes > 0 {
		fmt.Fprintf(&w, "### A change of ten names in that TLD\nTen delegations with DS by one UPDATE, signed, on the disk and served: **%.2f ms** of the processor, %.1f ms until the answer "+
			"(mean of %d, one after the other; the server's whole process, what it puts in order later included; %d delegations).\n\n",
			1000*c.CPU/float64(c.Changes), 1000*c.Wall/float64(c.Changes), c.Changes, c.Delegations)
	}
	fmt.Fprintf(&w, "%s, %s.\n", r.Date, r.Machine)
	return w.String()
}

func (t *table) write(w *strings.Builder) {
	fmt.Fprintf(w, "### %s; processors: %d\n", t.Title, t.Processors)
	fmt.Fprintln(w, "\n| signer | CPU-s | runs | onoma's share | wall, s | onoma's share | memory, MB | signatures |\n| --- | --- | --- | --- | --- | --- | --- | --- |")
	cpu, wall := func(c cost) float64 { return c.CPU }, func(c cost) float64 { return c.Wall }
	var ours *row
	for _, s := range t.Rows {
		if s.Name == "onoma" {
			ours = s
		}
	}
	for _, s := range t.Rows {
		var runs []string
		for _, c := range s.Runs {
			runs = append(runs, fmt.Sprintf("%.2f", c.CPU))
		}
		shareCPU, shareWall := "-", "-"
		if ours != nil && s != ours {
			shareCPU, shareWall = fmt.Sprintf("**%.2f**", ratios(ours.each(cpu), s.each(cpu))), fmt.Sprintf("%.2f", ratios(ours.each(wall), s.each(wall)))
		}
		memory := median(s.each(func(c cost) float64 { return float64(c.Memory) }))
		fmt.Fprintf(w, "| %s | **%.2f** | %s | %s | %.2f | %s | %.0f | %d |\n",
			s.Label, median(s.each(cpu)), strings.Join(runs, ", "), shareCPU, median(s.each(wall)), shareWall, memory/1e6, s.Signatures)
	}
	if len(t.LeftOut) > 0 {
		fmt.Fprintf(w, "\nNot installed: %s.\n", strings.Join(t.LeftOut, ", "))
	}
	if in := t.Inside; in != nil {
		fmt.Fprintf(w, "\nIn memory, without reading and writing files: %d signatures in %.2f CPU-s (%.2f s); as many bare ones take %.2f (%.2f s): the zone is signed at "+
			"**%.0f %%** of the rate of bare signatures by time of the processor, %.0f %% by the wall. The signed zone takes %.1f octets a record.\n",
			in.Signatures, median(in.Whole), median(in.WholeWall), median(in.Bare), median(in.BareWall),
			100*ratios(in.Bare, in.Whole), 100*ratios(in.BareWall, in.WholeWall), float64(in.Octets)/float64(in.Records))
	}
	fmt.Fprintln(w)
}
