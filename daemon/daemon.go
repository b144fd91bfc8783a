package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"onoma/authority"
	"onoma/authority/catalog"
	"onoma/authority/secondary"
	"onoma/authority/update"
	"onoma/config"
	"onoma/delegation"
	"onoma/pipeline"
	"onoma/pipeline/files"
	"onoma/propagation"
	"onoma/resolver"
	"onoma/signer"
	"onoma/signer/keystore"
	"onoma/signer/keystore/token"
	"onoma/signer/online"
	"onoma/store"
	"onoma/telemetry"
	"onoma/zone"
)

// Options of a Daemon. Config and Load are required.
type Options struct {
	Config *config.Config
	// Load reads the configuration again.
	Load func() (*config.Config, error)
	// Authority is how the server behaves towards everybody; what is about keys,
	// transfers, updates and notices the Daemon fills in.
	Authority authority.Options
	// LookUp finds addresses of name servers that no zone here has; nil: nothing does.
	LookUp authority.LookUp
	Getenv func(string) string // nil: os.Getenv
	Log    *slog.Logger        // nil: nothing is logged

	wall func() time.Time     // the clock of the system; nil: time.Now
	ran  func() time.Duration // how long the machine has run; nil: the system says

	writeAfter time.Duration // from a change to a file being written back; 0: as package files has it
}

// Daemon serves the zones of a configuration. It is a transport.Handler.
type Daemon struct {
	o   Options
	log *slog.Logger

	store       *store.Store
	node        *node // nil: nobody else uses the database
	pipe        *pipeline.Pipeline
	keys        *authority.Keys
	updates     *update.Handler
	secondaries *secondary.Secondary
	files       *files.Door
	catalogs    *catalog.Manager
	follower    *propagation.Follower
	out, in     telemetry.TransferCounter

	lookups    *lookups
	recursor   *resolver.Resolver // nil: there is none
	routing    *routing           // of the recursor; nil: no zone is in memory
	rules      *rulesKeeper       // its policy
	privates   *keystore.Store
	tokens     token.Set // nil: none
	sayKeyless sync.Once
	clock      *signer.Steady
	signer     *signer.Keeper
	parents    *parents
	signals    *signals
	syncer     *syncer
	signers    *signers
	desk       *delegation.Desk
	announcer  *announcer
	online     *online.Signer
	doors      sync.Map // *online.Zone by zone.ID
	unsignable sync.Map // error by zone.ID: why it is not signed
	awayKSKs   sync.Map // *responses by zone.ID

	zones   *table
	views   atomic.Pointer[views]
	handler *authority.Views

	reloading sync.Mutex // held by who changes what is below, and which zones there are
	conf      atomic.Pointer[config.Config]
	isServing bool
	planner   *planner

	ctx   context.Context // of what runs
	end   context.CancelFunc
	work  sync.WaitGroup
	parts sync.Map // names of those that run, for Close
}

// New opens the database and serves the zones that are in it, as the
// configuration has them. Nothing runs before Start.
func New(ctx context.Context, o Options) (*Daemon, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	d := &Daemon{o: o, log: o.Log, keys: new(authority.Keys), zones: newTable(), planner: newPlanner(o.Config), ctx: ctx, end: func() {}}
	d.conf.Store(o.Config)
	keys, err := readKeys(o.Config, o.Getenv)
	if err != nil {
		return nil, err
	}
	d.keys.Set(keys)
	if err := d.open(ctx); err != nil {
		return nil, err
	}
	if err := d.load(ctx); err != nil {
		d.tokens.Close()
		_ = errors.Join(d.store.Close(), d.node.close()) // the first error says more
		return nil, err
	}
	return d, nil
}

// open makes all parts, in the order in which one needs the other.
func (d *Daemon) open(ctx context.Context) (err error) {
	conf := d.o.Config
	if err := os.MkdirAll(conf.Data, 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	if d.store, err = store.Open(ctx, storeURL(conf), store.Options{Log: d.log}); err != nil {
		return err
	}
	if d.store.IsShared() {
		if d.node, err = openNode(conf.Data); err != nil {
			return errors.Join(err, d.store.Close())
		}
	}
	d.pipe = pipeline.New(pipeline.Options{Store: d.store, DataDir: conf.Data, Log: d.log})
	d.pipe.Listen(d.published)
	d.updates = update.New(update.Options{Pipeline: d.pipe, Log: d.log})
	d.secondaries = secondary.New(secondary.Options{
		Zones: d.pipe, Keys: d.keys, DialQUIC: dialQUIC, Save: d.saveTimers, Log: d.log,
		Transfers: conf.Server.TransfersInMax, Turn: d.turn(),
		Ended: func(r secondary.Report) { d.in.Count(r.Kind.String(), r.Records, r.Octets, r.Err) },
	})
	d.files = files.New(files.Options{Submit: d.pipe.Submit, Head: d.pipe.Head, Stamps: d.stamps, Keep: d.keepStamps, Authored: d.pipe.Authored, WriteAfter: d.o.writeAfter, Log: d.log})
	d.catalogs = catalog.NewManager(catalog.Options{Host: host{d}, Keeper: keeper{d}, Taken: d.isConfigured, Log: d.log})
	d.follower = propagation.New(propagation.Options{Targets: d.targets, Alone: d.isAlone, Keys: d.keys.Find, Log: d.log})
	if err := d.openLookups(conf); err != nil {
		return err
	}
	if err := d.openResolver(conf); err != nil {
		return err
	}
	d.openRules(conf)
	if err := d.openSigning(conf); err != nil {
		return err
	}
	d.signals, d.syncer = newSignals(d), newSyncer(d)
	d.signers = newSigners(d)
	d.openDelegations(conf)
	d.openOnline(conf)
	d.follower.Listen(func(e propagation.Event) {
		if e.All {
			d.signer.Wake(e.Zone)
			d.syncer.inSync(e)
		}
	})
	d.setViews(conf)
	return nil
}

// storeURL says where the database is.
func storeURL(conf *config.Config) string {
	if conf.Store == "sqlite" {
		return "sqlite:" + filepath.Join(conf.Data, "onoma.db")
	}
	return conf.Store
}

// Start begins everything that runs beside the answers, and returns when the
// files that have changed since the last run are served.
func (d *Daemon) Start(ctx context.Context) {
	d.ctx, d.end = context.WithCancel(ctx)
	for what, run := range map[string]func(context.Context) error{
		"the pipeline": d.pipe.Run, "the secondary": d.secondaries.Run, "catalogs": d.catalogs.Run, "following secondaries": d.follower.Run,
		"the signer": d.signer.Run, "watching parents": d.parents.watcher.Run, "signals of keys": d.signals.run, "asking parents by CSYNC": d.syncer.run, "keeping delegations": d.desk.Run,
		"looking at other signers": d.signers.run, "watching signed key responses": d.watchResponses,
		"telling children where to send NOTIFY": d.announcer.run,
	} {
		d.run(what, func() error { return run(d.ctx) })
	}
	d.files.Reload(d.ctx)
	if d.recursor != nil {
		d.rules.look() // before anybody is answered
		d.run("keeping the resolver's policy", func() error { return d.rules.run(d.ctx) })
		d.run("fetching lists", func() error { return d.rules.web.Run(d.ctx) })
	}
	d.produceAll(d.ctx)
	d.run("watching files", func() error { return d.files.Run(d.ctx) })
}

// run has a part of the daemon run until it ends.
func (d *Daemon) run(what string, part func() error) {
	d.parts.Store(what, true)
	d.work.Go(func() {
		d.failed(what, part())
		d.parts.Delete(what)
	})
}

// Serving tells secondaries of all zones, for clients are answered now. None is told before: it would come at once, find nobody,
// and come again only when its timers say so.
func (d *Daemon) Serving() {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	d.isServing = true
	for _, v := range d.views.Load().list {
		d.notify(d.ctx, v)
	}
	for _, e := range d.zones.all() {
		if z := d.pipe.Zone(e.id); z != nil && z.Current() != nil {
			d.tell(e.id, z)
		}
	}
	d.work.Go(func() {
		debug.FreeOSMemory() // reading zones takes more than to keep them
		d.giveBack(d.ctx)
	})
}

// endPatience is how long parts may take to end: a command of the publish gate is
// told to end, too, but a file on a disk that is gone hears nothing.
const endPatience = 30 * time.Second

// Close ends what Start began, and closes the database. Its error names what does
// not end: whatever was acknowledged is on the disk nevertheless.
func (d *Daemon) Close() error {
	d.end()
	ended := make(chan struct{})
	go func() {
		d.work.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		d.tokens.Close()
		d.releaseSigner()
		return errors.Join(d.closeResolver(), d.lookups.close(), d.store.Close(), d.node.close())
	case <-time.After(endPatience):
		return fmt.Errorf("the server ends without %s: expected that to end within %v", strings.Join(d.running(), " and "), endPatience)
	}
}

// running names the parts that have not ended.
func (d *Daemon) running() (names []string) {
	d.parts.Range(func(what, _ any) bool {
		names = append(names, what.(string))
		return true
	})
	slices.Sort(names)
	return names
}

// failed tells of a part that has ended before it was told to.
func (d *Daemon) failed(what string, err error) {
	if err != nil && d.ctx.Err() == nil {
		d.log.Error("a part has ended; answers go on", "part", what, "error", err)
	}
}

// published is told of each version once it is served.
func (d *Daemon) published(r zone.Receipt) {
	z := d.pipe.Zone(r.Zone)
	if z == nil {
		return
	}
	d.files.Published(r)
	d.follower.Publish(r.Zone, r.Serial)
	d.signer.Published(r)
	d.announcer.look(r.Zone)
	d.versionServed(r.Zone)
	if d.recursor != nil {
		d.recursor.Purge(z.Origin()) // what it knows of the zone was true until now
	}
	d.signals.published(&r, z.Current() != nil && z.Current().Denial() != zone.DenialNone)
	d.tell(r.Zone, z)
	d.rules.published(r.Zone)
	e := d.zones.get(r.Zone)
	if e == nil {
		return
	}
	d.syncer.served(e, z.Current())
	if e.plan.settings.Catalog.Consume != nil {
		d.catalogs.Update(r.Zone, z.Current())
	}
}
