package daemon

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/signer"
	"onoma/signer/keys"
	"onoma/signer/parent"
	"onoma/telemetry/control"
	"onoma/zone"
)

// keysOf says how the signing of a zone stands.
func (d *Daemon) keysOf(_ context.Context, id zone.ID, ahead time.Duration) (control.KeysView, error) {
	e := d.zones.get(id)
	if e == nil {
		return control.KeysView{}, fmt.Errorf("zone %s: %w", id, zone.ErrUnknown)
	}
	out := control.KeysView{Zone: id.Name.String(), View: id.View, State: "not signed by this server", Keys: []control.Key{}, Now: d.now()}
	if err, ok := d.unsignable.Load(id); ok {
		out.Alarms = append(out.Alarms, err.(error).Error())
	}
	v, ok := d.signer.View(id, d.now().Add(ahead))
	if !ok {
		return out, nil
	}
	out.Policy, out.IsPassive, out.Now = v.Policy.Name, v.IsPassive, v.Now
	out.State = stateOfKeys(&v)
	if v.IsPassive {
		out.Policy = "" // that of who signs it is not known
		return out, nil
	}
	if v.IsSigned {
		out.Denial = denialText(v.Wanted.Denial)
	}
	for i := range v.Keys {
		out.Keys = append(out.Keys, keyLine(&v.Keys[i]))
	}
	for _, ds := range v.Wanted.DS {
		out.DS = append(out.DS, fmt.Sprintf("%s IN DS %s", id.Name, ds.RData().Text(dns.TypeDS)))
	}
	for _, k := range v.Wanted.CDNSKEY {
		out.CDNSKEY = append(out.CDNSKEY, fmt.Sprintf("%s IN DNSKEY %s", id.Name, k.RData().Text(dns.TypeDNSKEY)))
	}
	for _, w := range v.Waits {
		out.Waits = append(out.Waits, control.KeyWait{Key: w.Key, Text: w.Text, Until: w.Until, Alarm: w.Alarm})
	}
	for _, s := range v.Timeline {
		out.Timeline = append(out.Timeline, control.KeyStep{At: s.At, Key: s.Key, Tag: s.Tag, What: string(s.What), Text: s.Text, Why: s.Why})
	}
	out.Alarms = append(out.Alarms, v.Alarms...)
	out.Expires, out.Next, out.Signed, out.Served, out.Whole = v.Expires, v.Next, v.Signatures, v.Served, v.Whole
	if p, ok := d.parents.watcher.State(id); ok {
		out.Parent = parentLine(&p)
		for i := range p.Findings {
			if f := &p.Findings[i]; f.Level == parent.Alarm {
				out.Alarms = append(out.Alarms, adviceOf(f))
			}
		}
	}
	return out, nil
}

func stateOfKeys(v *signer.View) string {
	switch {
	case v.IsPassive:
		return "signed by its authors; this server leaves it as it is"
	case v.Wanted.ZoneFrozen != "":
		return "signed, and frozen as it is: see the alarm"
	case v.IsSigned && v.Policy.Unsigned:
		return "signed, and on its way to be unsigned"
	case v.IsSigned:
		return "signed"
	}
	return "unsigned"
}

func denialText(d keys.Denial) string {
	text := d.Kind.String()
	if d.OptOut {
		text += ", opt-out"
	}
	if d.Iterations > 0 || d.SaltLength > 0 {
		text += fmt.Sprintf(", %d iterations, %d octets of salt", d.Iterations, d.SaltLength)
	}
	return text
}

func keyLine(k *keys.Key) control.Key {
	out := control.Key{
		ID: k.ID, Tag: k.Tag, Algorithm: dnssec.AlgorithmName(k.Algorithm), Bits: k.Bits, Role: k.Role.String(), Phase: k.Phase(),
		Standby: k.Standby, Lost: k.Lost, Provider: k.Foreign, Created: k.Created, Active: k.Active, Retired: k.Retired, Removed: k.Removed,
	}
	for r, s := range k.Records {
		out.Records = append(out.Records, control.KeyRecord{Record: keys.Record(r).String(), State: s.State.String(), Since: s.Since})
	}
	return out
}

func parentLine(v *parent.View) *control.AtParent {
	out := &control.AtParent{Condition: v.Condition.String(), Error: v.Error, Next: v.Next}
	if !v.Parent.IsZero() {
		out.Name = v.Parent.String()
	}
	for i := range v.Servers {
		s := &v.Servers[i]
		line := control.ParentServer{Address: s.Addr.String(), Seen: s.Seen, Error: s.Error, DS: []string{}}
		if !s.Name.IsZero() {
			line.Name = s.Name.String()
		}
		for _, ds := range s.DS {
			line.DS = append(line.DS, ds.RData().Text(dns.TypeDS))
		}
		out.Servers = append(out.Servers, line)
	}
	for _, t := range v.Told {
		text := fmt.Sprintf("%s to %s port %d", t.Type, t.Target, t.Port)
		if t.Tries > 1 {
			text += fmt.Sprintf(", %d times", t.Tries)
		}
		switch {
		case t.Error != "":
			text += ": " + t.Error
		case !t.Answered.IsZero():
			text += ": taken"
		}
		out.Told = append(out.Told, text)
	}
	for i := range v.Findings {
		f := &v.Findings[i]
		if f.Level != parent.Alarm {
			out.Findings = append(out.Findings, adviceOf(f))
		}
	}
	return out
}

// doKeys does something with the keys of a zone, or with its delegations.
func (d *Daemon) doKeys(ctx context.Context, id zone.ID, r control.KeyRequest) (string, error) {
	if d.zones.get(id) == nil {
		return "", fmt.Errorf("zone %s: %w", id, zone.ErrUnknown)
	}
	switch r.Do {
	case "look":
		d.parents.watcher.Wake(id)
		return "the parent's servers are asked now", nil
	case "child":
		return d.lookAtChild(ctx, id, r)
	case "import":
		return d.importKeys(ctx, id, r)
	case "export":
		return d.exportKey(ctx, id, r)
	}
	text, err := d.signer.Do(ctx, id, func(ring *keys.Ring, p *keys.Policy, now time.Time) (string, error) { return doKeys(ring, p, now, &r) })
	if err == nil {
		d.log.Info("keys of a zone changed by an operator", "zone", id, "what", text)
	}
	return text, badKeys(err)
}

// badKeys tells what the operator has got wrong from what is wrong with the server.
func badKeys(err error) error {
	if errors.Is(err, keys.ErrNoKey) || errors.Is(err, keys.ErrRolling) || errors.Is(err, keys.ErrRefused) || errors.As(err, new(mistaken)) {
		return &control.Problem{Status: 409, Code: "keys", Message: err.Error(), Hint: "\"onoma zone keys NAME\" shows the keys of the zone and what they wait for"}
	}
	return err
}

// mistaken is what the operator has got wrong.
type mistaken struct{ error }

func (m mistaken) Unwrap() error { return m.error }

func mistake(format string, args ...any) error { return mistaken{fmt.Errorf(format, args...)} }

var roles = map[string]keys.Role{"ksk": keys.KSK, "zsk": keys.ZSK, "csk": keys.CSK}

func doKeys(ring *keys.Ring, p *keys.Policy, now time.Time, r *control.KeyRequest) (string, error) {
	switch r.Do {
	case "roll":
		return rollKeys(ring, p, now, r)
	case "add-foreign", "remove-foreign":
		return foreignKeys(ring, now, r)
	}
	k, err := findKey(ring, r.Key)
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("key %d (%s)", k.Tag, k.ID)
	switch r.Do {
	case "retire":
		return name + " is to go as soon as nobody needs it", ring.Retire(k.ID, now)
	case "restore":
		return name + " stays, and the one that was to follow it goes", ring.Restore(k.ID, now)
	case "ds-seen":
		return "the parent has the DS of " + name, ring.DSSeen(k.ID, now)
	case "ds-gone":
		return "the parent has no DS of " + name + " any more", ring.DSGone(k.ID, now)
	case "seen-elsewhere":
		return "all other providers have " + name, ring.SeenElsewhere(k.ID, now)
	}
	return "", mistake("%q is not known: expected roll, retire, restore, ds-seen, ds-gone, import, export, add-foreign, remove-foreign, seen-elsewhere, look or child", r.Do)
}

func rollKeys(ring *keys.Ring, p *keys.Policy, now time.Time, r *control.KeyRequest) (string, error) {
	var wanted []keys.Role
	if role, ok := roles[r.Role]; ok {
		wanted = append(wanted, role)
	} else if r.Role != "" {
		return "", mistake("role %q: expected ksk, zsk or csk", r.Role)
	} else if p.Split {
		wanted = append(wanted, keys.KSK, keys.ZSK)
	} else {
		wanted = append(wanted, keys.CSK)
	}
	var done []string
	for _, role := range wanted {
		var err error
		if r.Emergency {
			err = ring.RollEmergency(role, now)
		} else {
			err = ring.Roll(role, now, p)
		}
		if err != nil {
			return "", err
		}
		done = append(done, strings.ToUpper(role.String()))
	}
	if len(done) > 1 {
		return "a new " + strings.Join(done, " and a new ") + " take the places of those in use", nil
	}
	return "a new " + done[0] + " takes the place of the one in use", nil
}

func foreignKeys(ring *keys.Ring, now time.Time, r *control.KeyRequest) (string, error) {
	switch {
	case r.Do == "remove-foreign" && r.Key != "":
		k, err := findKey(ring, r.Key)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("key %d of %s goes as soon as nobody needs it", k.Tag, r.Provider), ring.RemoveForeignKey(k.ID, now)
	case r.Do == "remove-foreign":
		return "the keys of " + r.Provider + " go as soon as nobody needs them", ring.RemoveForeign(r.Provider, now)
	}
	data, err := dns.ParseRDataString(dns.TypeDNSKEY, r.DNSKEY, dns.Root)
	if err != nil {
		return "", mistake("the DNSKEY %q: %w", r.DNSKEY, err)
	}
	k, err := dns.ParseDNSKEY(data)
	if err != nil {
		return "", err
	}
	role := keys.ZSK
	if k.IsSEP() {
		role = keys.CSK // whether it signs the zone, too, cannot be seen; in the DNSKEY set it harms nobody
	}
	if given, ok := roles[r.Role]; ok {
		role = given
	}
	id := fmt.Sprintf("%s/%03d/%05d", r.Provider, k.Algorithm, k.KeyTag())
	return fmt.Sprintf("key %d of %s is in the DNSKEY set from now on", k.KeyTag(), r.Provider), ring.AddForeign(r.Provider, id, k, role, now)
}

// findKey finds a key by its id or its tag.
func findKey(ring *keys.Ring, text string) (keys.Key, error) {
	var found []keys.Key
	for _, k := range ring.Keys() {
		if k.ID == text || strconv.Itoa(int(k.Tag)) == text {
			found = append(found, k)
		}
	}
	switch {
	case len(found) == 0:
		return keys.Key{}, fmt.Errorf("key %q: %w", text, keys.ErrNoKey)
	case len(found) > 1:
		return keys.Key{}, mistake("key %q: several have this tag, expected the id of one", text)
	}
	return found[0], nil
}

// lookAtChild looks at a child now, and does what follows.
func (d *Daemon) lookAtChild(ctx context.Context, id zone.ID, r control.KeyRequest) (string, error) {
	child, err := below(r.Child, id.Name)
	if err != nil {
		return "", badKeys(mistake("child %q: %w", r.Child, err))
	}
	report, err := d.desk.Look(ctx, id, child, r.Approve)
	if err != nil {
		return "", badKeys(mistaken{err})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "has looked at %s\n", child)
	if report.DS.Looked {
		fmt.Fprintf(&b, "  DS %s: %s\n", report.DS.Verdict, report.DS.Why)
	}
	if report.CSYNC.Looked {
		fmt.Fprintf(&b, "  NS and addresses %s: %s\n", report.CSYNC.Verdict, report.CSYNC.Why)
	}
	for _, s := range report.Servers {
		fmt.Fprintf(&b, "  %s %s ", s.Host, s.Addr)
		if s.Err != "" {
			fmt.Fprintf(&b, "has not answered as it should: %s\n", s.Err)
			continue
		}
		fmt.Fprintf(&b, "has answered in %v, with %d records\n", s.Took.Round(time.Millisecond), len(s.Said))
	}
	if !report.Next.IsZero() {
		fmt.Fprintf(&b, "  the next look is at %s\n", report.Next.UTC().Format(time.RFC3339))
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// below reads a name that people write as it is or relative to the zone.
func below(text string, zone dns.Name) (dns.Name, error) {
	if whole, err := dns.ParseName(text); err == nil && whole.IsSubdomainOf(zone) && !whole.Equal(zone) {
		return whole, nil
	}
	return dns.ParseNameIn(text, zone)
}

func (d *Daemon) acceptClock() string {
	d.signer.AcceptClock()
	return "the clock of this machine is taken for right: it is " + d.now().UTC().Format(time.RFC3339)
}
