package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"onoma/authority"
	"onoma/delegation"
	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/pipeline"
	"onoma/signer"
	"onoma/signer/keys"
	"onoma/signer/keystore"
	"onoma/store"
	"onoma/zone"
)

// signing is what the operators have behind their servers: one pipeline for all
// their zones, in a view for each operator; the keeper that signs them; the desk
// at which registries take what children publish. The zone files stay the truth,
// the database has what was made of them.
type signing struct {
	lab     *Lab
	store   *store.Store
	pipe    *pipeline.Pipeline
	keeper  *signer.Keeper
	desk    *delegation.Desk
	parents *parents
	lookups *lookups

	isRunning atomic.Bool
	waiting   sync.Map // *operator by zone.ID: to go unsigned when all is running
}

// keyState is the state of a zone's keys in the database, and childState that of
// what is pending of its delegations.
const (
	keyState   = "keys"
	childState = "delegations"
)

func (l *Lab) signingDir() string { return filepath.Join(l.dir, "signing") }

// openSigning makes it. Nothing runs yet.
func (l *Lab) openSigning(ctx context.Context, wall func() time.Time) (err error) {
	s := &signing{lab: l}
	if err := os.MkdirAll(l.signingDir(), 0o700); err != nil {
		return fmt.Errorf("making a directory for keys: %w", err)
	}
	log := slog.New(warnings{l.log.Handler()})
	if s.store, err = store.Open(ctx, "sqlite:"+filepath.Join(l.signingDir(), "onoma.db"), store.Options{Log: log}); err != nil {
		return err
	}
	l.signing = s
	private, err := keystore.Open(keystore.Options{Dir: filepath.Join(l.signingDir(), "keys")})
	if err != nil {
		return err
	}
	if s.lookups, err = l.newLookups(log); err != nil {
		return err
	}
	s.pipe = pipeline.New(pipeline.Options{Store: s.store, Log: log})
	s.parents = s.newParents(log)
	s.keeper = signer.New(signer.Options{
		Submit: s.pipe.Submit, Zone: s.pipe.Zone, Load: s.load(keyState), Save: s.save(keyState), Store: private,
		InSync: s.inSync, Parents: s.parents, Clock: signer.NewSteady(wall, nil), Log: log,
	})
	s.desk = s.newDesk(log)
	s.pipe.Listen(s.keeper.Published)
	return nil
}

// warnings is a log of what a person who runs the lab has to know: each step of
// each key is not that.
type warnings struct{ slog.Handler }

// Enabled leaves out what is below a warning.
func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

// unsign has zones go unsigned that were listed while the lab was off: their parents
// can be asked now.
func (s *signing) unsign(ctx context.Context) (err error) {
	s.waiting.Range(func(id, op any) bool {
		origin := id.(zone.ID).Name
		v, e := readZone(op.(*operator).file(origin), origin)
		if e == nil {
			e = s.keep(ctx, op.(*operator), v)
		}
		err = errors.Join(err, e)
		return true
	})
	s.waiting.Clear()
	return err
}

// run has all parts but the pipeline, which runs already, run until the lab ends.
func (s *signing) run() {
	l := s.lab
	s.isRunning.Store(true)
	for _, part := range []func(context.Context) error{s.keeper.Run, s.parents.watcher.Run, s.parents.run, s.desk.Run} {
		l.wg.Go(func() { l.ended(part(l.ctx)) })
	}
}

// close is for the end, when nothing runs any more.
func (s *signing) close() error {
	if s == nil {
		return nil
	}
	return errors.Join(s.lookups.close(), s.store.Close())
}

func (s *signing) load(what string) func(context.Context, zone.ID) ([]byte, error) {
	return func(ctx context.Context, id zone.ID) ([]byte, error) {
		row, ok := s.pipe.Row(id)
		if !ok {
			return nil, fmt.Errorf("zone %s: %w", id, zone.ErrUnknown)
		}
		return s.store.State(ctx, row, what)
	}
}

func (s *signing) save(what string) func(context.Context, zone.ID, []byte) error {
	return func(ctx context.Context, id zone.ID, data []byte) error {
		row, ok := s.pipe.Row(id)
		if !ok {
			return fmt.Errorf("zone %s: %w", id, zone.ErrUnknown)
		}
		return s.store.SetState(ctx, []store.ZoneState{{Zone: row, What: what, Data: data}})
	}
}

// inSync says which serial number all servers of a zone have: those of an operator
// serve the same version, always.
func (s *signing) inSync(id zone.ID) (uint32, bool) {
	if v := s.served(id); v != nil {
		return v.Serial(), true
	}
	return 0, false
}

// served returns the version of a zone that is served, nil where there is none.
func (s *signing) served(id zone.ID) *zone.Version {
	if z := s.pipe.Zone(id); z != nil {
		return z.Current()
	}
	return nil
}

// keep has the pipeline keep a zone of which v is the next content: signed, or
// unsigned. What was signed goes unsigned step by step, or resolvers would refuse it.
func (s *signing) keep(ctx context.Context, op *operator, v *zone.Version) error {
	id := op.id(v.Origin())
	if s.pipe.Zone(id) == nil {
		if _, err := s.pipe.Add(ctx, pipeline.ZoneSpec{ID: id}); err != nil {
			return err
		}
	}
	known, err := s.load(keyState)(ctx, id)
	if err != nil {
		return err
	}
	settings := signer.Settings{Policy: op.policy(v.Origin()), Auto: true, New: true}
	settings.Policy.Unsigned = !op.signs(v)
	if settings.Policy.Unsigned && known == nil {
		s.keeper.Remove(id)
		return s.pipe.Configure(pipeline.ZoneSpec{ID: id})
	}
	switch {
	case !settings.Policy.Unsigned:
	case !s.isRunning.Load(): // nobody asks the parent yet
		settings.Policy.Unsigned = false
		s.waiting.Store(id, op)
	case !s.parents.isKnown(ctx, id):
		return fmt.Errorf("%s stays signed, as its parent's servers do not say whether they have a DS: have the files read once more", plain(id.Name))
	}
	z, err := s.keeper.Add(ctx, id, settings)
	if err != nil {
		return err
	}
	return s.pipe.Configure(pipeline.ZoneSpec{ID: id, Signer: z})
}

// drop ends that. Keys stay, so that a file that comes back finds them.
func (s *signing) drop(ctx context.Context, id zone.ID) error {
	s.keeper.Remove(id)
	s.desk.Remove(id)
	return s.pipe.Remove(ctx, id, false)
}

// policy is how an operator signs a zone: the root as it is on the Internet, with
// a key for the keys and one for the zone; registries with NSEC3; and providers
// each to their own taste. Caches keep little for long in the lab, so that what
// waits for them is a matter of a minute.
func (op *operator) policy(origin dns.Name) keys.Policy {
	p := keys.Default()
	p.DNSKEYTTL, p.ParentTTL = 30*time.Second, 30*time.Second
	p.PublishSafety, p.RetireSafety = 2*time.Second, 2*time.Second
	switch {
	case origin.IsRoot():
		p.Split, p.Parent = true, keys.ByHand
	case op.role == roleTLD:
		p.Denial = keys.Denial{Kind: keys.NSEC3}
	case op.name == "meltemi":
		p.Algorithm = dnssec.ED25519
	case op.name == "awsdns":
		p.Split = true
	}
	p.Name = op.name
	return p
}

// signs reports whether the operator signs a zone with that content: unless it is
// listed as unsigned, all whose name servers are the operator's own. Two providers
// with keys of their own would have to know each other's (RFC 8901).
func (op *operator) signs(v *zone.Version) bool {
	op.mu.Lock()
	isListed := op.unsigned[v.Origin().Fold()]
	op.mu.Unlock()
	if isListed {
		return false
	}
	set, _ := v.Apex().RRset(dns.TypeNS)
	for data := range set.RData() {
		if host, err := dns.NameFromWire(data); err != nil || !op.runs(host) && !op.isAddressOf(v, host) {
			return false
		}
	}
	return set.Count() > 0
}

// isAddressOf reports whether a zone says that one of its own names is a server of
// the operator.
func (op *operator) isAddressOf(v *zone.Version, host dns.Name) bool {
	set, _ := v.Find(host.Append(nil)).RRset(dns.TypeA)
	for data := range set.RData() {
		if a, ok := dns.RData(data).Addr(dns.TypeA); ok && op.listensOn(a) {
			return true
		}
	}
	return false
}

// unsignedFile lists, below the directory of an operator, the zones that it does
// not sign, a line for each.
const unsignedFile = "unsigned"

// readUnsigned reads it; it need not be there.
func (op *operator) readUnsigned() error {
	text, err := os.ReadFile(filepath.Join(op.dir, unsignedFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading which zones %s does not sign: %w", op.name, err)
	}
	names, err := parseUnsigned(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(op.dir, unsignedFile), err)
	}
	op.mu.Lock()
	defer op.mu.Unlock()
	op.unsigned = names
	return nil
}

// newDesk makes the desk of all registries, and of whoever else delegates.
func (s *signing) newDesk(log *slog.Logger) *delegation.Desk {
	l := s.lab
	return delegation.New(delegation.Options{
		Submit: s.pipe.Submit, Zone: s.served, Resolve: s.lookups.fetch, Validate: s.lookups.prove,
		Dial:    l.dialChild,
		Allowed: loopback.Contains, IPv4Only: true,
		Load: s.load(childState), Save: s.save(childState), Timeout: 5 * time.Second, Log: log,
	})
}

// childPolicy is what a parent of the lab takes from its children, sooner than one
// of the Internet would.
func (l *Lab) childPolicy() delegation.Policy {
	return delegation.Policy{
		DS: true, CSYNC: true, Delete: true, TTL: 30, MinInterval: 300 * time.Millisecond,
		Retry:     []time.Duration{300 * time.Millisecond, time.Second, 3 * time.Second, 10 * time.Second, time.Minute},
		Bootstrap: delegation.Bootstrap{Authenticated: true, Delay: l.hold},
	}
}

// notified takes NOTIFY(CDS) and NOTIFY(CSYNC) of children, at an operator's servers.
func (l *Lab) notified(n authority.Notice) authority.NoticeVerdict {
	switch l.signing.desk.Notified(n.View, n.Zone, n.Type, n.From.Addr()) {
	case delegation.Taken:
		return authority.NoticeTaken
	case delegation.Rejected:
		return authority.NoticeRefused
	}
	return authority.NoticeUnknown
}
