package screen

import (
	"fmt"
	"io"
	"strings"
	"time"

	"onoma/telemetry/control"
)

// Keys writes how the signing of a zone stands; what is wrong comes first.
func (p Page) Keys(v control.KeysView) error {
	for _, a := range v.Alarms {
		fmt.Fprintln(p.W, p.paint(red, "ALARM: "+plain(a)))
	}
	t := table(p.W)
	line := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	line("zone", "%s", named(v.Zone, v.View))
	line("state", "%s", plain(v.State))
	if v.Policy != "" {
		line("policy", "%s", plain(v.Policy))
	}
	if v.Denial != "" {
		line("denial", "%s", plain(v.Denial))
	}
	if !v.Expires.IsZero() {
		line("signatures", "%s made, the next %s, the first expires %s", grouped(v.Signed), p.when(v.Next), p.when(v.Expires))
	}
	if len(v.Keys) > 0 {
		line("servers", "%s", p.serving(&v))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	p.keyLines(v.Keys)
	p.parent(v.Parent)
	p.waits(v.Waits)
	return nil
}

// serving says since when all servers of the zone have what they should.
func (p Page) serving(v *control.KeysView) string {
	switch {
	case v.Served.IsZero():
		return "not all have these keys yet"
	case v.Whole.IsZero():
		return "all have these keys since " + p.when(v.Served) + ", and not all have all signatures by them yet"
	}
	return "all have these keys, and all signatures by them, since " + p.when(v.Whole)
}

// keyLines writes a line for each key, with how far each of its records is.
func (p Page) keyLines(keys []control.Key) {
	if len(keys) == 0 {
		return
	}
	fmt.Fprintln(p.W)
	t := table(p.W)
	fmt.Fprintln(t, "role\ttag\talgorithm\tphase\tDNSKEY\tsigns the zone\tsigns the keys\tDS")
	for i := range keys {
		k := &keys[i]
		fmt.Fprintf(t, "%s\t%d\t%s\t%s", k.Role, k.Tag, algorithm(k), phase(k))
		for _, r := range k.Records {
			fmt.Fprintf(t, "\t%s", p.record(r))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
}

func algorithm(k *control.Key) string {
	if k.Bits > 0 {
		return fmt.Sprintf("%s/%d", k.Algorithm, k.Bits)
	}
	return k.Algorithm
}

func phase(k *control.Key) string {
	text := k.Phase
	if k.Standby {
		text += ", stands by"
	}
	if k.Lost {
		text += ", LOST"
	}
	if k.Provider != "" {
		text += ", of " + plain(k.Provider)
	}
	return text
}

// record writes how far a record is, and since when.
func (p Page) record(r control.KeyRecord) string {
	switch {
	case r.State == "hidden":
		return "-"
	case r.Since.IsZero():
		return r.State
	}
	return r.State + " " + age(max(p.Now.Sub(r.Since), 0))
}

// parent writes what each server of the parent has.
func (p Page) parent(x *control.AtParent) {
	if x == nil {
		return
	}
	text := plain(x.Condition)
	if x.Name != "" {
		text = plain(x.Name) + ": " + text
	}
	if x.Error != "" {
		text += ": " + plain(x.Error)
	}
	if !x.Next.IsZero() {
		text += ", asked again " + p.ago(x.Next)
	}
	fmt.Fprintf(p.W, "\nparent %s\n", text)
	t := table(p.W)
	for i := range x.Servers {
		p.parentServer(t, &x.Servers[i])
	}
	t.Flush()
	for _, told := range x.Told {
		fmt.Fprintf(p.W, "  told by NOTIFY: %s\n", plain(told))
	}
	for _, f := range x.Findings {
		fmt.Fprintf(p.W, "  %s\n", p.paint(yellow, plain(f)))
	}
}

func (p Page) parentServer(t io.Writer, s *control.ParentServer) {
	has := "no DS"
	if len(s.DS) > 0 {
		short := make([]string, len(s.DS))
		for i, ds := range s.DS {
			short[i] = shortDS(plain(ds))
		}
		has = "DS " + strings.Join(short, ", ")
	}
	if s.Error != "" {
		has = p.paint(yellow, plain(s.Error))
	}
	fmt.Fprintf(t, "  %s\t%s\tseen %s\t%s\n", s.Address, plain(s.Name), p.ago(s.Seen), has)
}

// shortDS leaves most of a digest away: tag and algorithm tell keys apart.
func shortDS(ds string) string {
	f := strings.Fields(ds)
	if len(f) < 4 || len(f[3]) <= 8 {
		return ds
	}
	return strings.Join(f[:3], " ") + " " + f[3][:8] + "..."
}

func (p Page) waits(waits []control.KeyWait) {
	if len(waits) == 0 {
		return
	}
	fmt.Fprintln(p.W, "\nwaits for")
	for _, w := range waits {
		text := plain(w.Text)
		if !w.Until.IsZero() {
			text += ", " + p.ago(w.Until)
		}
		if w.Alarm {
			text = p.paint(red, "ALARM: "+text)
		}
		fmt.Fprintf(p.W, "  %s\n", text)
	}
}

// Timeline writes the steps that are to come.
func (p Page) Timeline(v control.KeysView, days int) error {
	if len(v.Timeline) == 0 {
		_, err := fmt.Fprintf(p.W, "\nnothing is to come within %s\n", counted(days, "day"))
		return err
	}
	fmt.Fprintln(p.W, "\nto come, if all do their part")
	t := table(p.W)
	var last time.Time
	for _, s := range v.Timeline {
		when := "\t"
		if !s.At.Equal(last) {
			when = s.At.In(p.Now.Location()).Format("2006-01-02 15:04:05") + "\t" + p.ago(s.At)
			last = s.At
		}
		fmt.Fprintf(t, "  %s\t%s\n", when, plain(s.Text))
	}
	return t.Flush()
}

// DS writes what a registrar wants: the DS records, and the keys for those who make the DS themselves.
func (p Page) DS(v control.KeysView) error {
	for _, r := range append(append([]string(nil), v.DS...), v.CDNSKEY...) {
		if _, err := fmt.Fprintln(p.W, plain(r)); err != nil {
			return err
		}
	}
	return nil
}
