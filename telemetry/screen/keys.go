package screen

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"onoma/telemetry/control"
)

// Keys writes how the signing of a zone stands; what is wrong comes first.
func (p Page) Keys(v control.KeysView) error {
	p.alarms(&v)
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
		line("signatures", "%s made by this server", grouped(v.Signed))
		line("  renewed", "%s%s", p.stamp(v.Next), overdue(v))
		line("  expiring", "%s, if they were not", p.stamp(v.Expires))
	}
	if len(v.Keys) > 0 {
		line("served", "%s", p.serving(&v))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	p.keyLines(v.Keys)
	p.parent(v.Parent)
	p.waits(&v)
	return nil
}

// overdue says so where signatures should have been renewed already.
func overdue(v control.KeysView) string {
	if v.Next.IsZero() || v.Now.Sub(v.Next) < time.Minute {
		return ""
	}
	return ", which is overdue"
}

// alarms writes what somebody should look at.
func (p Page) alarms(v *control.KeysView) {
	texts := slices.Clone(v.Alarms)
	for _, w := range v.Waits {
		if w.Alarm {
			texts = append(texts, w.Text)
		}
	}
	brief := briefly(v)
	for _, text := range texts {
		fmt.Fprintln(p.W, p.paint(red, wrapped("", "  ", "ALARM: "+brief(text))))
	}
	if len(texts) > 0 {
		fmt.Fprintln(p.W)
	}
}

// signing writes in one line how the signing of a zone stands.
func (p Page) signing(s *control.SigningLine) string {
	text := plain(s.State)
	if s.Policy != "" {
		text += ", policy " + plain(s.Policy)
	}
	if s.Alarm != "" {
		text += ", " + p.paint(red, "ALARM: "+plain(s.Alarm))
	}
	return text
}

// columns is how wide text is that goes over several lines.
const columns = 98

// wrapped breaks text between words into lines that are not too long. What is one word stays so, to be copied.
func wrapped(first, next, text string) string {
	var b strings.Builder
	b.WriteString(first)
	at := len([]rune(first))
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case at+1+n > columns:
			b.WriteString("\n" + next)
			at = len([]rune(next))
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

// serving says since when all servers of the zone have what they should.
func (p Page) serving(v *control.KeysView) string {
	switch {
	case v.Served.IsZero():
		return "not all servers have these keys yet"
	case v.Whole.IsZero():
		return "these keys by all servers since " + p.stamp(v.Served) + ", their signatures not yet"
	}
	return "these keys and their signatures by all servers since " + p.stamp(v.Whole)
}

// stamp writes a time as clocks say it, and how far it is from now.
func (p Page) stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.In(p.Now.Location()).Format("2006-01-02 15:04:05") + " (" + p.ago(t) + ")"
}

// keyLines writes a line for each key, with how far each of its records is.
func (p Page) keyLines(keys []control.Key) {
	if len(keys) == 0 {
		return
	}
	fmt.Fprintln(p.W)
	t := table(p.W)
	fmt.Fprintln(t, "role\ttag\talgorithm\tphase\tDNSKEY\tsigns zone\tsigns keys\tDS")
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

// record writes how far a record is; while caches differ, since when.
func (p Page) record(r control.KeyRecord) string {
	switch {
	case r.State == "hidden":
		return "-"
	case r.State == "omnipresent" || r.Since.IsZero():
		return r.State
	}
	first := strings.Fields(age(max(p.Now.Sub(r.Since), 0)))[:2] // "2 h" of "2 h 0 min"
	return r.State + " " + strings.Join(first, " ")
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
	if x.Error != "" && !slices.ContainsFunc(x.Findings, func(f string) bool { return strings.Contains(f, strings.TrimSuffix(x.Error, ".")) }) {
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
		fmt.Fprintln(p.W, wrapped("  ", "    ", "told by NOTIFY: "+plain(told)))
	}
	for _, f := range x.Findings {
		fmt.Fprintln(p.W, p.paint(yellow, wrapped("  ", "    ", plain(f))))
	}
}

func (p Page) parentServer(t io.Writer, s *control.ParentServer) {
	has, seen := "no DS", "seen "+p.ago(s.Seen)
	if s.Seen.IsZero() {
		has, seen = "-", "not asked yet"
	}
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
	server := s.Address
	if s.Name != "" {
		server = plain(s.Name) + " " + server
	}
	fmt.Fprintf(t, "  %s\t%s\t%s\n", server, has, seen)
}

// shortDS leaves most of a digest away: tag and algorithm tell keys apart.
func shortDS(ds string) string {
	f := strings.Fields(ds)
	if len(f) < 4 || len(f[3]) <= 8 {
		return ds
	}
	return strings.Join(f[:3], " ") + " " + f[3][:8] + "..."
}

// waits writes what is not done yet, but for the alarms.
func (p Page) waits(v *control.KeysView) {
	brief, heading := briefly(v), "\npending\n"
	for _, w := range v.Waits {
		if w.Alarm {
			continue
		}
		text := brief(w.Text)
		if !w.Until.IsZero() {
			text += ", until " + p.stamp(w.Until)
		}
		fmt.Fprint(p.W, heading, wrapped("  ", "    ", text), "\n")
		heading = ""
	}
}

// briefly returns what leaves the number of the algorithm away behind each key, where all keys that are spoken of have the same.
func briefly(v *control.KeysView) func(string) string {
	found := make(map[string]bool)
	look := func(text string) {
		for _, m := range algorithmNumber.FindAllString(text, -1) {
			found[m] = true
		}
	}
	for _, w := range v.Waits {
		look(w.Text)
	}
	for _, a := range v.Alarms {
		look(a)
	}
	for i := range v.Timeline {
		look(v.Timeline[i].Text)
	}
	if len(found) > 1 {
		return plain
	}
	return func(text string) string { return plain(algorithmNumber.ReplaceAllString(text, "")) }
}

var algorithmNumber = regexp.MustCompile(` \(algorithm \d+\)`)

// Timeline writes the steps that are to come: for each time what was waited for until then, and what happens.
func (p Page) Timeline(v control.KeysView, days int) error {
	if len(v.Timeline) == 0 {
		_, err := fmt.Fprintf(p.W, "\nnothing is to come within %s\n", counted(days, "day"))
		return err
	}
	brief := briefly(&v)
	fmt.Fprintf(p.W, "\nto come within %s, if all do their part\n", counted(days, "day"))
	var last time.Time
	for i := range v.Timeline {
		s := &v.Timeline[i]
		if at := s.At.Truncate(time.Second); !at.Equal(last) {
			fmt.Fprintf(p.W, "  %s\n", p.paint(bold, p.stamp(s.At)))
			last = at
		}
		for _, why := range s.Why {
			fmt.Fprintln(p.W, wrapped("    ", "      ", "until then, "+brief(why)))
		}
		fmt.Fprintln(p.W, wrapped("    - ", "      ", brief(s.Text)))
	}
	return nil
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
