package parent

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"onoma/dns"
)

// findings says what a person should know, the worst first.
func (w *watched) findings(v *View, now time.Time) []Finding {
	var out []Finding
	add := func(f Finding) {
		if f.Level != 0 {
			out = append(out, f)
		}
	}
	add(w.broken(v))
	add(w.removed(v))
	add(w.overdue(v, now))
	add(w.stranger(v))
	add(w.lost(v, now))
	add(w.differ(v))
	add(w.unsigned(v))
	add(w.untold(v))
	if r := w.report; r != nil {
		add(Finding{
			Notice, "reported", fmt.Sprintf("Somebody, probably the parent, has reported that the %s records of %s are not good: %s.", r.Type, r.Name, r.Code),
			"See whether all servers of the zone serve the same, and whether it validates.",
		})
	}
	if p := v.Pushed; p != nil && p.Error != "" {
		add(Finding{
			Warning, "push-failed", fmt.Sprintf("%s did not take the DS by UPDATE: %s.", p.Server, p.Error),
			"See what that server allows the key to update. It is tried again.",
		})
	}
	for i := range v.Servers {
		add(silent(&v.Servers[i]))
	}
	slices.SortStableFunc(out, func(a, b Finding) int { return int(b.Level) - int(a.Level) })
	return out
}

func (w *watched) broken(v *View) Finding {
	if v.Condition != Broken {
		return Finding{}
	}
	var at []string
	for _, s := range v.Servers {
		if s.Excused == "" && !s.Seen.IsZero() && w.isBroken(s.DS) {
			at = append(at, s.Addr.String())
		}
	}
	fix := "Have the parent remove these DS records."
	if len(w.Wanted.DS) > 0 {
		fix = "Hand the right ones to the registrar: " + w.handout()
	}
	return Finding{
		Alarm, "ds-broken",
		fmt.Sprintf("No DS record at %s is of a key of %s: validating resolvers fail to resolve it.", few(at), w.ID.Name), fix,
	}
}

func (w *watched) removed(v *View) Finding {
	if v.Condition != Removed {
		return Finding{}
	}
	return Finding{
		Alarm, "ds-removed",
		fmt.Sprintf("The DS records of %s were at all servers of the parent, and somebody has removed them: nobody validates the zone. It goes on being signed.", w.ID.Name),
		"Find out who did it. To have them back, hand them to the registrar: " + w.handout() + ". To end signing, change the zone's policy.",
	}
}

func (w *watched) overdue(v *View, now time.Time) Finding {
	if v.Condition != Waiting || now.Sub(w.begun) < w.Delays.Overdue {
		return Finding{}
	}
	took := strings.TrimSuffix(now.Sub(w.begun).Round(time.Minute).String(), "0s")
	if len(w.Wanted.DS) == 0 {
		return Finding{
			Alarm, "ds-overdue",
			fmt.Sprintf("The parent of %s was to remove the DS records %s ago and has not. The zone stays signed until it has.", w.ID.Name, took),
			"Have the registrar remove them.",
		}
	}
	return Finding{
		Alarm, "ds-overdue",
		fmt.Sprintf("The parent of %s does not have the DS records as they were to be %s ago. Keys stay as they are until it has.", w.ID.Name, took),
		"Hand these to the registrar, in place of those that are there: " + w.handout(),
	}
}

func (w *watched) stranger(v *View) Finding {
	if len(w.Wanted.Known)+len(w.Wanted.Keys) == 0 || v.Condition == Broken {
		return Finding{}
	}
	var strangers []string
	for _, d := range v.DS {
		if !d.Known {
			strangers = append(strangers, fmt.Sprintf("%d (algorithm %d, digest %d)", d.DS.KeyTag, d.DS.Algorithm, d.DS.DigestType))
		}
	}
	if len(strangers) == 0 {
		return Finding{}
	}
	return Finding{
		Warning, "ds-stranger",
		fmt.Sprintf("The parent has a DS record of no key of %s: %s. Somebody may have typed it by hand.", w.ID.Name, few(strangers)),
		"If no other provider signs the zone with that key, have the registrar remove it.",
	}
}

func (w *watched) lost(v *View, now time.Time) Finding {
	switch {
	case v.Error == "":
		return Finding{}
	case len(w.looks) > 0:
		return Finding{Notice, "parent-not-found", "Whether the parent still has the same servers is not known: " + v.Error + ".", "It is looked for again."}
	case now.Sub(w.begun) < w.Delays.Overdue:
		return Finding{Notice, "parent-not-found", "Who serves the parent is not known yet: " + v.Error + ".", "It is looked for again."}
	}
	return Finding{
		Alarm, "parent-not-found", "Who serves the parent was not found: " + v.Error + ". Without that no key of the zone can be changed.",
		"See that the resolver works, or name the parent's servers in the configuration.",
	}
}

func (w *watched) differ(v *View) Finding {
	var lag []string
	for _, s := range v.Servers {
		if v.Condition == Waiting && s.Excused == "" && (!w.hasAll(s.DS) || slices.ContainsFunc(s.DS, func(d dns.DS) bool { return !w.isWanted(d) })) {
			lag = append(lag, s.Addr.String())
		}
	}
	if len(lag) == 0 || len(lag) == v.Counted {
		return Finding{}
	}
	return Finding{
		Notice, "servers-differ", fmt.Sprintf("%d of %d servers of the parent have what is wanted; not yet: %s.", v.Counted-len(lag), v.Counted, few(lag)),
		"They should follow by themselves.",
	}
}

func (w *watched) unsigned(v *View) Finding {
	if v.Signed || !v.IsComplete() || len(w.Wanted.DS) == 0 {
		return Finding{}
	}
	return Finding{
		Warning, "parent-unsigned", "The parent zone is not signed: nobody can validate " + w.ID.Name.String() + ", whatever DS is there.",
		"Have the parent signed, or give resolvers a trust anchor for the zone.",
	}
}

func (w *watched) untold(v *View) Finding {
	if err := w.tells[0].err; err != "" && v.Condition == Waiting {
		return Finding{
			Notice, "notify-none", "The parent was not told of the new CDS records: " + err + ".",
			"It takes them when it looks by itself, if it does. Otherwise hand them to the registrar: " + w.handout(),
		}
	}
	if err := w.tells[1].err; err != "" {
		return Finding{
			Notice, "notify-none", "The parent was not told of the new CSYNC record: " + err + ".",
			"It takes the name servers and addresses over when it looks by itself, if it does. Otherwise tell the registrar.",
		}
	}
	for _, t := range v.Told {
		if t.Error != "" && (v.Condition == Waiting || t.Type == dns.TypeCSYNC) {
			return Finding{
				Notice, "notify-failed", fmt.Sprintf("NOTIFY(%s) to %s port %d: %s.", t.Type, t.Target, t.Port, t.Error),
				"The parent may still find out when it looks by itself.",
			}
		}
	}
	return Finding{}
}

func silent(s *Server) Finding {
	switch {
	case s.Excused != "":
		return Finding{Notice, "server-excused", fmt.Sprintf("%s does not count: %s.", label(s.Name, s.Addr), s.Excused), "It counts again when it answers."}
	case s.Failures >= 3:
		return Finding{
			Warning, "server-silent", fmt.Sprintf("%s does not say what it has: %s.", label(s.Name, s.Addr), s.Error),
			"Changes of keys wait for it for a while, since resolvers may reach it.",
		}
	}
	return Finding{}
}

func label(name dns.Name, addr netip.AddrPort) string {
	if name.IsZero() {
		return addr.String()
	}
	return name.String() + " (" + addr.String() + ")"
}

// few joins a few, and counts the others.
func few(list []string) string {
	const shown = 4
	if len(list) > shown {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:shown], ", "), len(list)-shown)
	}
	return strings.Join(list, ", ")
}

// handout is the wanted DS set in one line.
func (w *watched) handout() string {
	var out []string
	for _, d := range w.Wanted.DS {
		out = append(out, w.ID.Name.String()+" IN DS "+d.RData().Text(dns.TypeDS))
	}
	return strings.Join(out, " and ")
}
