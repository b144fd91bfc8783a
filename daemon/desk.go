package daemon

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"onoma/authority/secondary"
	"onoma/dns"
	"onoma/pipeline"
	"onoma/pipeline/files"
	"onoma/propagation"
	"onoma/telemetry/control"
	"onoma/zone"
)

// Desk returns what an operator may see and do.
func (d *Daemon) Desk() *control.ZoneDesk {
	return &control.ZoneDesk{
		List: d.list, Detail: d.detail,
		Log: d.history, Delta: d.pipe.Delta, At: d.at, Blame: d.blame, Refused: d.refused,
		Submit: d.Submit, Rollback: d.rollback,
		Propagation: d.propagation, Wait: d.follower.Wait,
		Reload: d.reloadZone, TakeFile: d.takeFile, Refresh: d.refresh, Retransfer: d.retransfer, Notify: d.notifyZone,
		Keys: d.keysOf, DoKeys: d.doKeys, AcceptClock: d.acceptClock,
		Backup: d.backup, CheckStore: d.store.Check, ReloadConfig: d.reloadConfig,
	}
}

// list yields the zones.
func (d *Daemon) list() iter.Seq[control.ZoneLine] {
	return func(yield func(control.ZoneLine) bool) {
		for _, e := range d.zones.sorted(nil) {
			if !yield(d.line(e)) {
				return
			}
		}
	}
}

// line says in short how a zone is.
func (d *Daemon) line(e *entry) control.ZoneLine {
	line := control.ZoneLine{Name: e.id.Name.String(), View: e.id.View, Kind: e.kind().String()}
	line.State, line.Reason = d.stateOf(e)
	line.Alarm = d.alarmOf(e.id)
	number, v, ok := d.pipe.Head(e.id)
	if ok && v != nil {
		s := v.Stats()
		line.Loaded, line.Version, line.Serial = true, number, v.Serial()
		line.Names, line.Records, line.Bytes = s.Names, s.Records, s.Bytes
	}
	c := d.follower.Count(e.id)
	line.Secondaries, line.InSync = c.Secondaries, c.InSync
	return line
}

// stateOf says what the server can do with a zone.
func (d *Daemon) stateOf(e *entry) (control.State, string) {
	if err := d.pipe.Broken(e.id); err != nil {
		return control.Broken, err.Error()
	}
	z := d.pipe.Zone(e.id)
	served := z != nil && z.Current() != nil
	s, isSecondary := d.secondaries.State(e.id)
	f, hasFile := d.files.State(e.id)
	if !served {
		if t := d.signer.Trouble(e.id); t.Withdrawn {
			return control.Broken, t.Text
		}
	}
	switch {
	case isSecondary && s.Expired:
		return control.Expired, s.Err
	case isSecondary && !served:
		return control.Loading, s.Err
	case hasFile && !served && len(f.Problems) > 0:
		return control.Broken, strings.Join(f.Problems, "\n")
	case !served:
		return control.Loading, ""
	}
	if r, ok := d.standing(e.id); ok {
		return control.Refused, r.Refusal.Reason
	}
	if hasFile && len(f.Problems) > 0 {
		return control.Refused, strings.Join(f.Problems, "\n")
	}
	return control.Served, ""
}

// alarmOf says what is wrong with the signing of a zone, "" where nothing is.
func (d *Daemon) alarmOf(id zone.ID) string {
	if err, is := d.unsignable.Load(id); is {
		return err.(error).Error()
	}
	return d.signer.Trouble(id).Text
}

// standing returns the version of a zone that was refused last, unless one came after
// it, or the file that it was read from is good again.
func (d *Daemon) standing(id zone.ID) (pipeline.Refused, bool) {
	r, ok := d.pipe.Refused(id)
	if !ok || !d.pipe.Made(id).Before(r.At.Truncate(time.Microsecond)) {
		return pipeline.Refused{}, false
	}
	if f, hasFile := d.files.State(id); hasFile && r.By.Door == zone.DoorFile && len(f.Problems) == 0 {
		return pipeline.Refused{}, false
	}
	return r, true
}

// detail says all about a zone.
func (d *Daemon) detail(ctx context.Context, id zone.ID) (control.ZoneDetail, error) {
	e := d.zones.get(id)
	if e == nil {
		return control.ZoneDetail{}, fmt.Errorf("zone %s: %w", id, zone.ErrUnknown)
	}
	out := control.ZoneDetail{ZoneLine: d.line(e), Published: d.pipe.Made(id), File: e.file, Doors: d.doorsOf(e)}
	if e.isMember() {
		out.Catalog = e.catalog.Name.String()
	}
	if e.plan.settings.Catalog.Consume != nil && out.State == control.Served {
		out.State, out.Reason = d.catalogState(id)
	}
	if v, ok := d.signer.View(id, time.Time{}); ok {
		out.Signing = &control.SigningLine{State: stateOfKeys(&v), Alarm: d.alarmOf(id)}
		if !v.IsPassive {
			out.Signing.Policy = v.Policy.Name
		}
		if out.Signing.Alarm == "" {
			out.Signing.Alarm = d.parents.need(id)
		}
	}
	if s, ok := d.secondaries.State(id); ok {
		out.Timers = &control.Timers{Refreshed: s.LastCheck, Refresh: s.NextCheck, Expire: s.Expires}
		if s.Signed && s.HasZone {
			out.Timers.Serial = s.Serial
		}
		out.Primaries = primariesOf(&s)
	}
	if row, ok := d.pipe.Row(id); ok {
		versions, octets, oldest, err := d.store.HistorySize(ctx, row)
		switch {
		case err == nil:
			out.History = &control.HistorySize{Versions: versions, Octets: octets, Oldest: oldest}
		case out.Reason == "": // else that says why
			out.Reason = err.Error()
		}
	}
	if r, ok := d.standing(id); ok {
		out.Refusal = refusalOf(&r)
	}
	return out, nil
}

// catalogState says whether a catalog that is consumed can be followed, and which
// of its members it cannot have.
func (d *Daemon) catalogState(id zone.ID) (control.State, string) {
	const shown = 5
	s, ok := d.catalogs.Status(id)
	switch {
	case !ok:
		return control.Served, ""
	case s.Broken != nil:
		return control.Refused, fmt.Sprintf("the members stay as they are, for the catalog is broken: %v", s.Broken)
	case len(s.Clashes) == 0:
		return control.Served, ""
	}
	names := make([]string, 0, shown)
	for _, c := range s.Clashes[:min(len(s.Clashes), shown)] {
		names = append(names, c.Zone.String())
	}
	return control.Served, fmt.Sprintf("served by others already: %d of its members, such as %s", len(s.Clashes), strings.Join(names, ", "))
}

// doorsOf names the doors by which a zone changes.
func (d *Daemon) doorsOf(e *entry) (doors []string) {
	switch e.kind() {
	case fromPrimary:
		return []string{string(zone.DoorTransfer)}
	case fromMembers:
		return []string{string(zone.DoorCatalog)}
	case fromFile:
		return []string{string(zone.DoorFile)}
	}
	if len(e.plan.policy) > 0 {
		doors = append(doors, string(zone.DoorUpdate))
	}
	return append(doors, string(zone.DoorAPI))
}

func primariesOf(s *secondary.State) (out []control.Primary) {
	for _, p := range s.Primaries {
		line := control.Primary{Address: p.Addr.String(), Transport: p.Proto.String()}
		if !p.Key.IsZero() {
			line.Key = p.Key.String()
		}
		if p.Addr == s.Primary {
			line.Contact, line.Error = s.LastCheck, s.Err
		}
		out = append(out, line)
	}
	return out
}

func refusalOf(r *pipeline.Refused) *control.Refusal {
	out := &control.Refusal{Rule: r.Refusal.Rule, Reason: r.Refusal.Reason, Door: string(r.By.Door), Author: r.By.Name, At: r.At}
	for _, f := range r.Refusal.Findings {
		out.Findings = append(out.Findings, f.String())
	}
	return out
}

// history returns versions of a zone, the newest first.
func (d *Daemon) history(ctx context.Context, id zone.ID, below uint64, most int) ([]control.VersionLine, error) {
	log, err := d.pipe.Log(ctx, id, below, most)
	if err != nil {
		return nil, err
	}
	lines := make([]control.VersionLine, len(log))
	for i := range log {
		lines[i] = versionLine(&log[i])
	}
	return lines, nil
}

func versionLine(v *pipeline.Entry) control.VersionLine {
	return control.VersionLine{
		Number: v.Number, Serial: v.Serial, At: v.At, Door: string(v.By.Door), Author: v.By.Name, Comment: v.By.Comment,
		Removed: v.Removed, Added: v.Added,
	}
}

// at returns the content of a version, 0 being the one that is served.
func (d *Daemon) at(ctx context.Context, id zone.ID, number uint64) (*zone.Version, error) {
	if number != 0 {
		return d.pipe.At(ctx, id, number)
	}
	z := d.pipe.Zone(id)
	switch {
	case z == nil:
		return nil, fmt.Errorf("zone %s: %w", id, zone.ErrUnknown)
	case z.Current() == nil:
		return nil, fmt.Errorf("zone %s: %w", id, zone.ErrNoVersion)
	}
	return z.Current(), nil
}

func (d *Daemon) blame(ctx context.Context, id zone.ID, name dns.Name) ([]control.Blamed, error) {
	records, err := d.pipe.Blame(ctx, id, name)
	if err != nil {
		return nil, err
	}
	out := make([]control.Blamed, len(records))
	for i := range records {
		b := &records[i]
		out[i] = control.Blamed{Record: string(b.Record.AppendText(nil)), VersionLine: versionLine(&b.Since), Older: !b.Known}
	}
	return out, nil
}

func (d *Daemon) refused(_ context.Context, id zone.ID) (control.Text, error) {
	r, ok := d.pipe.Refused(id)
	if !ok || r.File == "" {
		return nil, fmt.Errorf("zone %s: no version has been refused: %w", id, zone.ErrNoVersion)
	}
	text, err := os.ReadFile(r.File)
	if err != nil {
		return nil, fmt.Errorf("reading what was refused: %w", err)
	}
	return func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}, nil
}

func (d *Daemon) rollback(ctx context.Context, id zone.ID, number, base uint64, by zone.Author) (zone.Receipt, error) {
	by.Door = zone.DoorRollback
	if err := d.permit(id, by.Door); err != nil {
		return zone.Receipt{}, err
	}
	c, err := d.pipe.Rollback(ctx, id, number, by)
	if err != nil {
		return zone.Receipt{}, err
	}
	if base != 0 {
		c.Base = base
	}
	receipts, err := d.pipe.Submit(ctx, c)
	if err != nil {
		return zone.Receipt{}, err
	}
	return receipts[0], nil
}

// propagation says how far the secondaries of a zone are.
func (d *Daemon) propagation(id zone.ID) (control.Propagation, error) {
	serial, at, ok := d.follower.Published(id)
	if !ok {
		return control.Propagation{}, fmt.Errorf("zone %s: %w", id, propagation.ErrUnknown)
	}
	_, inSync := d.follower.InSync(id)
	out := control.Propagation{Serial: serial, Published: at, InSync: inSync, Secondaries: []control.Secondary{}}
	for _, s := range d.follower.State(id) {
		line := control.Secondary{
			Address: s.Addr.String(), Condition: s.Condition.String(), Serial: s.Serial, Seen: s.Seen, Contact: s.Contact, Acked: s.Acked,
			Lag: s.Lag.Seconds(), WentBack: s.WentBack, Error: s.Error,
		}
		if !s.Key.IsZero() {
			line.Key = s.Key.String()
		}
		out.Secondaries = append(out.Secondaries, line)
	}
	return out, nil
}

// reloadZone reads a zone's file again.
func (d *Daemon) reloadZone(ctx context.Context, id zone.ID) (string, error) {
	return d.readFile(ctx, id, false)
}

// takeFile lets a zone be what its file says, also where it is changed in other ways.
func (d *Daemon) takeFile(ctx context.Context, id zone.ID) (string, error) {
	return d.readFile(ctx, id, true)
}

func (d *Daemon) readFile(ctx context.Context, id zone.ID, take bool) (string, error) {
	s, err := d.files.ReloadZone(ctx, id, take)
	if err != nil {
		return "", err
	}
	return fileResult(&s)
}

func fileResult(s *files.State) (string, error) {
	switch {
	case len(s.Problems) > 0:
		return "", &zone.Refusal{Zone: s.Zone, Rule: "file", Reason: strings.Join(s.Problems, "\n")}
	case s.Changed:
		return fmt.Sprintf("version %d, serial %d", s.Version, s.Serial), nil
	}
	return "nothing has changed", nil
}

func (d *Daemon) refresh(_ context.Context, id zone.ID) (string, error) {
	if !d.secondaries.Refresh(id) {
		return "", noPrimaries(id)
	}
	return "its primaries are asked", nil
}

func (d *Daemon) retransfer(_ context.Context, id zone.ID) (string, error) {
	if !d.secondaries.Retransfer(id) {
		return "", noPrimaries(id)
	}
	return "it is fetched as a whole", nil
}

func noPrimaries(id zone.ID) error {
	return fmt.Errorf("zone %s: %w with primaries", id, zone.ErrUnknown)
}

func (d *Daemon) notifyZone(_ context.Context, id zone.ID) (string, error) {
	z := d.pipe.Zone(id)
	if z == nil {
		return "", fmt.Errorf("zone %s: %w", id, zone.ErrUnknown)
	}
	d.tell(id, z)
	return "its secondaries are told", nil
}

// backup writes the database to a new file.
func (d *Daemon) backup(ctx context.Context, path string) (int64, error) {
	if err := d.store.Backup(ctx, path); err != nil {
		return 0, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf("looking at the backup: %w", err)
	}
	return info.Size(), nil
}

// Of the files only those of zones are read that are new, or have another one.
func (d *Daemon) reloadConfig(ctx context.Context) (control.ConfigReload, error) {
	r, err := d.Reload(ctx)
	out := control.ConfigReload{Changes: r.Changes, Pending: r.Pending}
	for _, s := range d.files.ReadNew(ctx) {
		for _, problem := range s.Problems {
			out.Warnings = append(out.Warnings, fmt.Sprintf("zone %s: %s", s.Zone, problem))
		}
	}
	if conf := d.conf.Load(); len(conf.Files) > 0 {
		out.File = conf.Files[0]
	}
	return out, err
}
