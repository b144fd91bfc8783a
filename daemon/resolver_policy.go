package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"onoma/config"
	"onoma/daemon/feeds"
	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/resolver"
	"onoma/resolver/policy"
	"onoma/zone"
)

// rulesKeeper makes the resolver's policy out of the configuration, files, copies of what is on the web, and zones of this server, and
// makes it anew when one of them has changed. One goroutine reads and compiles, beside those that answer; what cannot be read stays as it
// was last.
type rulesKeeper struct {
	d    *Daemon
	web  *feeds.Keeper
	wake chan struct{}
	conf *config.ResolverPolicy // of the goroutine

	rpz   map[dns.Name]*rulesZone
	files map[string]fileStamp // of block lists: as they were when they were compiled
}

// rulesZone is a policy zone as it was last read.
type rulesZone struct {
	zone    *policy.Zone
	conf    config.PolicyZone
	stamp   fileStamp
	version *zone.Version
}

// fileStamp tells versions of a file apart; the zero value is one that cannot be read.
type fileStamp struct {
	changed time.Time
	size    int64
}

func stampOf(path string) fileStamp {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{info.ModTime(), info.Size()}
}

// settled returns how a file is now; had, how it was, where it is gone or being written at this moment.
func settled(path string, had fileStamp) fileStamp {
	now := stampOf(path)
	if had != (fileStamp{}) && (now == (fileStamp{}) || time.Since(now.changed).Abs() < rulesSettle) {
		return had
	}
	return now
}

// rulesSettle is how long a file that changes is left alone: few editors replace files at a stroke.
const rulesSettle = 200 * time.Millisecond

// rulesEvery is how often files are looked at.
const rulesEvery = 5 * time.Second

// openRules makes the keeper of the resolver's policy.
func (d *Daemon) openRules(conf *config.Config) {
	d.rules = &rulesKeeper{d: d, wake: make(chan struct{}, 1), rpz: map[dns.Name]*rulesZone{}, files: map[string]fileStamp{}}
	d.rules.web = feeds.New(feeds.Options{Dir: filepath.Join(conf.Data, "lists"), Check: d.rules.checkList, Log: d.log})
}

// published is told of each new version of a zone.
func (k *rulesKeeper) published(id zone.ID) {
	for _, z := range k.d.conf.Load().Resolver.Policy.RPZ {
		if id.View == "" && z.File == "" && z.Name.Equal(id.Name) {
			k.nudge()
		}
	}
}

// nudge has the policy looked at soon.
func (k *rulesKeeper) nudge() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// run keeps the policy as it should be until ctx ends.
func (k *rulesKeeper) run(ctx context.Context) error {
	tick := time.NewTicker(rulesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-k.wake:
		case <-k.web.Changed():
		}
		k.look()
	}
}

// look reads what has changed, and has the resolver obey it.
func (k *rulesKeeper) look() {
	start := time.Now()
	conf := &k.d.conf.Load().Resolver.Policy
	isNew := k.conf != conf
	if isNew {
		k.conf = conf
		k.web.Set(webFiles(conf))
	}
	changed := k.readZones(conf)
	changed = k.stampLists(conf) || changed
	if !isNew && !changed {
		return
	}
	p, err := k.compile(conf)
	if err != nil {
		k.d.log.Error("the resolver's policy stays as it was", "error", err)
		return
	}
	k.d.recursor.SetPolicy(p)
	if p != nil {
		k.d.log.Info("policy in force", "policy-zones", len(conf.RPZ), "block-lists", len(conf.BlockLists), "views", len(conf.Views), "took", time.Since(start).Round(time.Millisecond))
	}
	runtime.GC() // what was compiled before is garbage now, and may be large
}

func webFiles(conf *config.ResolverPolicy) (files []feeds.File) {
	for _, b := range conf.BlockLists {
		if b.URL != "" {
			files = append(files, feeds.File{Name: b.Name, URL: b.URL, Every: b.Every, MaxSize: int64(b.MaxSize)})
		}
	}
	return files
}

func (k *rulesKeeper) pathOf(b *config.BlockList) string {
	if b.URL != "" {
		return k.web.Path(b.URL)
	}
	return b.File
}

// stampLists notes how the block lists are now, and reports whether one has changed.
func (k *rulesKeeper) stampLists(conf *config.ResolverPolicy) (changed bool) {
	had := k.files
	k.files = map[string]fileStamp{}
	for i := range conf.BlockLists {
		path := k.pathOf(&conf.BlockLists[i])
		now := settled(path, had[path])
		k.files[path] = now
		changed = changed || now != had[path]
	}
	return changed
}

// readZones reads the policy zones that have changed, and reports whether any has.
func (k *rulesKeeper) readZones(conf *config.ResolverPolicy) (changed bool) {
	maps.DeleteFunc(k.rpz, func(name dns.Name, _ *rulesZone) bool {
		return !slices.ContainsFunc(conf.RPZ, func(z config.PolicyZone) bool { return z.Name == name })
	})
	for i := range conf.RPZ {
		c := &conf.RPZ[i]
		had := k.rpz[c.Name]
		if had == nil {
			had = &rulesZone{}
		}
		fresh := &rulesZone{conf: *c}
		if c.File != "" {
			fresh.stamp = settled(c.File, had.stamp)
		} else if z := k.d.pipe.Zone(zone.ID{Name: c.Name.Fold()}); z != nil {
			fresh.version = z.Current()
		}
		if had.isAs(fresh) {
			continue
		}
		if err := fresh.read(); err != nil {
			k.d.log.Error("policy zone not read, the last one stays in force", "zone", c.Name, "error", err, "rules", had.rules())
			fresh.zone = had.zone // until it has changed once more
		} else {
			k.d.log.Info("policy zone read", "zone", c.Name, "rules", fresh.rules())
			for _, text := range fresh.zone.Problems().Text[:min(5, len(fresh.zone.Problems().Text))] {
				k.d.log.Warn("rule left out: "+text, "zone", c.Name)
			}
		}
		k.rpz[c.Name] = fresh
		changed = true
	}
	return changed
}

// isAs reports whether the zone was read from the same as o will be. That it has expired is not news.
func (z *rulesZone) isAs(o *rulesZone) bool {
	isGone := o.conf.File == "" && o.version == nil && z.zone != nil
	return slices.Equal(z.conf.Tags, o.conf.Tags) && sameRules(z.conf, o.conf) && (isGone || z.stamp == o.stamp && z.version == o.version)
}

func sameRules(a, b config.PolicyZone) bool {
	return a.Name == b.Name && a.File == b.File && a.Action == b.Action && a.Target == b.Target && a.MaxTTL == b.MaxTTL && a.Error == b.Error && a.SignalNXDomain == b.SignalNXDomain
}

func (z *rulesZone) rules() int {
	if z.zone == nil {
		return 0
	}
	return z.zone.Len()
}

var rulesErrors = map[string]dns.EDECode{"blocked": dns.EDEBlocked, "censored": dns.EDECensored, "filtered": dns.EDEFiltered}

// read compiles the zone.
func (z *rulesZone) read() error {
	o := policy.ZoneOptions{Origin: z.conf.Name, Target: z.conf.Target, MaxTTL: uint32(z.conf.MaxTTL / time.Second), EDE: rulesErrors[z.conf.Error], Signal: z.conf.SignalNXDomain}
	if z.conf.Action == "cname" {
		o.Override = policy.Data
	} else {
		o.Override, _ = policy.ParseAction(z.conf.Action)
	}
	b, err := policy.NewZone(o)
	if err != nil {
		return err
	}
	switch {
	case z.conf.File != "":
		err = readPolicyFile(b, z.conf.File, z.conf.Name)
	case z.version == nil:
		err = fmt.Errorf("there is no zone %s here, expected file, or the zone among zones with primaries or a file", z.conf.Name)
	default:
		for r := range z.version.Records() {
			if err = b.Add(r); err != nil {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	compiled, err := b.Compile()
	if err == nil && !compiled.HasSOA() {
		err = errors.New("there is no SOA record, expected one: it may not be the whole file")
	}
	if err == nil {
		z.zone = compiled
	}
	return err
}

// readPolicyFile adds the records of a zone file.
func readPolicyFile(b *policy.ZoneBuilder, path string, origin dns.Name) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := zonefile.NewReader(bufio.NewReaderSize(f, 1<<20), zonefile.Options{File: path, Origin: origin, DefaultTTL: 60})
	for {
		record, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = b.Add(record)
		}
		if err != nil {
			return err
		}
	}
}

// checkList refuses a copy from the web without a single rule, such as a page that says that the list has moved.
func (k *rulesKeeper) checkList(f feeds.File, path string) error {
	b := policy.NewBlocks(policy.BlockOptions{})
	if err := readList(b, path, f.Name); err != nil {
		return err
	}
	blocks := b.Compile()
	if blocks.Len() > 0 {
		return nil
	}
	err := errors.New("it has no rule: expected a hosts file, names, or AdBlock rules")
	if p := blocks.Problems(); p.Count > 0 {
		err = fmt.Errorf("%w; %s", err, p.Text[0])
	}
	return err
}

func readList(b *policy.BlockBuilder, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return b.Read(f, name)
}

var blockings = map[string]policy.Blocking{"nxdomain": policy.BlockNXDomain, "null": policy.BlockNull, "nodata": policy.BlockNoData, "refuse": policy.BlockRefuse}

// compile makes the policy; nil where there is none.
func (k *rulesKeeper) compile(c *config.ResolverPolicy) (*resolver.Policy, error) {
	if c.IsZero() {
		return nil, nil
	}
	plan := &resolver.PolicyPlan{DNS64All: c.DNS64All, Log: c.Log}
	for _, a := range c.Access {
		access, _ := policy.ParseAccess(a.Action)
		plan.Access = append(plan.Access, policy.Entry[policy.Access]{Prefix: a.Network, Value: access})
	}
	for _, z := range c.RPZ {
		if compiled := k.rpz[z.Name].zone; compiled != nil {
			plan.RPZ = append(plan.RPZ, resolver.RPZPlan{Zone: compiled, Tags: z.Tags})
		}
	}
	for _, z := range c.LocalZones {
		plan.Zones = append(plan.Zones, zonePlan(z))
	}
	var err error
	if plan.Data, err = localRecords(c.LocalData, dns.Name{}); err != nil {
		return nil, err
	}
	for i := range c.Views {
		v, err := viewPlan(&c.Views[i])
		if err != nil {
			return nil, err
		}
		plan.Views = append(plan.Views, v)
	}
	if len(c.BlockLists) > 0 {
		plan.Blocks = func(hears func([]string) bool) (*policy.Blocks, error) { return k.blocks(c, hears) }
	}
	if err := protections(c, plan); err != nil {
		return nil, err
	}
	return plan.Compile()
}

// blocks compiles the block lists that somebody hears. One that is not there yet blocks nothing.
func (k *rulesKeeper) blocks(c *config.ResolverPolicy, hears func([]string) bool) (*policy.Blocks, error) {
	b := policy.NewBlocks(policy.BlockOptions{Blocking: blockings[c.Blocking], Subdomains: c.BlockSubdomains})
	for i := range c.BlockLists {
		list := &c.BlockLists[i]
		if !hears(list.Tags) {
			continue
		}
		path := k.pathOf(list)
		if err := readList(b, path, list.Name); err != nil && !(list.URL != "" && os.IsNotExist(err)) {
			k.d.log.Error("block list not read", "list", list.Name, "error", err)
		}
	}
	blocks := b.Compile()
	for _, text := range blocks.Problems().Text[:min(5, len(blocks.Problems().Text))] {
		k.d.log.Debug("line of a block list left out: " + text)
	}
	return blocks, nil
}

// protections fills in what is kept away and what is made.
func protections(c *config.ResolverPolicy, plan *resolver.PolicyPlan) (err error) {
	if len(c.DNS64) > 0 {
		if plan.DNS64, err = policy.NewDNS64(policy.DNS64Options{Prefixes: c.DNS64, Exclude: c.DNS64Exclude}); err != nil {
			return err
		}
	}
	if c.Rebinding {
		plan.Rebinding, err = policy.NewRebinding(policy.RebindingOptions{Private: c.RebindingNetworks, Allowed: c.RebindingAllow, NAT64: plan.DNS64})
	}
	return err
}

func localRecords(lines []string, owner dns.Name) (records []dns.Record, err error) {
	for _, text := range lines {
		r, err := config.LocalRecord(text, owner)
		if err != nil {
			return nil, fmt.Errorf("local data %q: %w", text, err)
		}
		r.Data = slices.Clone(r.Data)
		records = append(records, r)
	}
	return records, nil
}

func localKindOf(text string) policy.LocalKind {
	kind, _ := policy.ParseLocalKind(text)
	return kind
}

func zonePlan(z config.LocalZone) resolver.ZonePlan {
	out := resolver.ZonePlan{LocalZone: policy.LocalZone{Name: z.Name, Kind: localKindOf(z.Kind)}, Tags: z.Tags}
	for _, f := range z.For {
		out.For = append(out.For, policy.Entry[policy.LocalKind]{Prefix: f.Network, Value: localKindOf(f.Kind)})
	}
	return out
}

func viewPlan(c *config.PolicyView) (v resolver.ViewPlan, err error) {
	v = resolver.ViewPlan{
		Name: c.Name, Clients: slices.Clone(c.Clients), Tags: c.Tags, First: c.Inherit, NoDNS64: !c.DNS64,
		TagKinds: map[string]policy.LocalKind{}, TagData: map[string][]dns.Record{},
	}
	for _, t := range c.TagZones {
		v.TagKinds[t.Tag] = localKindOf(t.Kind)
	}
	for _, t := range c.TagData {
		if v.TagData[t.Tag], err = localRecords(t.Data, dns.Root); err != nil {
			return v, err
		}
	}
	for _, z := range c.LocalZones {
		v.Zones = append(v.Zones, policy.LocalZone{Name: z.Name, Kind: localKindOf(z.Kind)})
	}
	v.Data, err = localRecords(c.LocalData, dns.Name{})
	return v, err
}
