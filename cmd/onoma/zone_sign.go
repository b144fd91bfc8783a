package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/dnssec/keyfile"
	"onoma/dns/zonefile"
	"onoma/zone"
	"onoma/zone/sign"
)

type zoneSignCmd struct {
	origin
	File string `arg:"" help:"The zone file, signed already or not."`

	Key       []string `placeholder:"FILE" help:"A key to sign with: one of BIND's files of it, or how they begin. May be given several times."`
	KeysDir   string   `placeholder:"DIR" help:"Sign with all keys of the zone in this folder; where there are none, one is made."`
	Algorithm string   `default:"ECDSAP256SHA256" help:"The algorithm of a key that is made."`
	DNSKEYTTL span     `name:"dnskey-ttl" default:"1h" help:"TTL of the DNSKEY records."`

	Denial     string `enum:"nsec,nsec3,nsec3-opt-out,compact,none" default:"nsec" help:"How what does not exist is denied: ${enum}. With none all that signing has made is taken out."`
	Salt       string `placeholder:"HEX" help:"The salt of NSEC3; best is none."`
	Iterations uint16 `help:"Additional iterations of NSEC3; best is 0."`

	At         moment `placeholder:"TIME" help:"Sign as if it were then; without it, now."`
	Validity   span   `default:"14d" help:"How long signatures are good."`
	Jitter     span   `help:"Expirations are earlier by up to so much, so that they do not come all at once."`
	Refresh    span   `help:"Signatures in the file with less left are made anew; without it a quarter of the validity."`
	Inception  moment `placeholder:"TIME" help:"When signatures begin to be good; without it an hour ago."`
	Expiration moment `placeholder:"TIME" help:"When they end, instead of --validity."`

	ZONEMD     bool   `help:"Put a digest of the zone into it (RFC 8976). One that the file has is made anew without it."`
	NextSerial bool   `help:"Raise the serial number by one."`
	Out        string `short:"o" placeholder:"FILE" help:"Where to write; without it to standard output."`
}

// Help is the long text of the verb.
func (zoneSignCmd) Help() string {
	return `Keys are those that --key and --keys-dir name, in the files of dnssec-keygen. Where an algorithm has keys with and
without the flag SEP, the former sign the sets of keys and the latter all else; otherwise each signs all. DNSKEY, CDS and
CDNSKEY records that the file has stay, also those of keys that are not here.

Signatures that the file has are kept if they are right, by one of the keys, and good for long enough. What is signed is
verified by "onoma zone verify". Times are +90d, 2026-01-31 or 2026-01-31T12:00:00Z.

    onoma zone sign example.com.zone --keys-dir keys --out example.com.signed
    onoma zone sign example.com.zone --key Kexample.com.+013+12345 --denial nsec3 --zonemd

A zone that a server keeps signed needs none of this: see "onoma serve".`
}

// Run signs the zone.
func (c *zoneSignCmd) Run(a *app) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25) // what lives is large and has no pointers
	}
	v, err := c.loadSound(a)
	if err != nil {
		return err
	}
	keys, err := c.keys(a, v.Origin())
	if err != nil {
		return err
	}
	p, err := c.plan(v, keys)
	if err != nil {
		return err
	}
	signed, r, err := p.Whole(a.ctx, v, c.At.orNow())
	if err != nil {
		return c.explain(err)
	}
	if err := c.write(a, signed); err != nil {
		return err
	}
	c.tell(a.stderr, signed, p, r)
	return nil
}

func (c *zoneSignCmd) explain(err error) error {
	if errors.Is(err, sign.ErrPlan) && len(c.Key) == 0 && c.KeysDir == "" {
		return hint(err, "--key FILE names a key, and --keys-dir DIR a folder of keys, where one is made if there is none")
	}
	return err
}

// loadSound reads the zone, with another serial number if that is wanted.
func (c *zoneSignCmd) loadSound(a *app) (*zone.Version, error) {
	v, findings, err := c.load(a.stderr, c.File)
	if err != nil {
		return nil, err
	}
	if writeFindings(a.stderr, c.File, findings) > 0 || v == nil {
		return nil, fmt.Errorf("%s has errors and is not signed", c.File)
	}
	if !c.NextSerial {
		return v, nil
	}
	e := v.Edit()
	soa := v.SOA()
	data := slices.Clone(dns.RData(soa.First()))
	dns.SetSOASerial(data, v.Serial()+1)
	if _, err := e.Add(dns.Record{Name: v.Origin(), Type: dns.TypeSOA, Class: v.Class(), TTL: soa.TTL(), Data: data}); err != nil {
		return nil, err
	}
	return e.Commit()
}

// keys reads the keys to sign with, and makes one where there is to be one.
func (c *zoneSignCmd) keys(a *app, zone dns.Name) ([]*dnssec.Key, error) {
	paths := slices.Clone(c.Key)
	if c.KeysDir != "" {
		found, err := filepath.Glob(filepath.Join(c.KeysDir, "K"+keyfile.ZoneFileName(zone)+"+*.private"))
		if err != nil {
			return nil, err
		}
		paths = append(paths, found...)
	}
	var keys []*dnssec.Key
	for _, path := range paths {
		name, k, meta, err := keyfile.Read(path)
		if err != nil {
			return nil, err
		}
		for _, w := range meta.Warnings {
			fmt.Fprintf(a.stderr, "%s: warning: %s\n", path, w)
		}
		if !name.Equal(zone) {
			return nil, fmt.Errorf("%s is a key of %s, and the zone is %s", path, name, zone)
		}
		if !slices.ContainsFunc(keys, func(o *dnssec.Key) bool { return string(o.RData()) == string(k.RData()) }) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 && c.KeysDir != "" && c.Denial != "none" {
		return c.makeKey(a, zone)
	}
	return keys, nil
}

// makeKey makes one key for everything.
func (c *zoneSignCmd) makeKey(a *app, zone dns.Name) ([]*dnssec.Key, error) {
	algorithm, err := dnssec.ParseAlgorithm(c.Algorithm)
	if err != nil {
		return nil, err
	}
	k, err := dnssec.GenerateKey(nil, algorithm, 0, dns.DNSKEYZone|dns.DNSKEYSEP)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.KeysDir, 0o700); err != nil {
		return nil, err
	}
	base, err := keyfile.Write(c.KeysDir, zone, k, keyfile.Meta{})
	if err != nil {
		return nil, err
	}
	ds, err := dnssec.MakeDS(zone, k.DNSKEY(), dnssec.DigestSHA256)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(a.stderr, "a key has been made: %s.private; the parent zone needs\n%s\n", filepath.Base(base),
		dns.Record{Name: zone, Type: dns.TypeDS, Class: dns.ClassIN, TTL: 86400, Data: ds.RData()})
	return []*dnssec.Key{k}, nil
}

// plan says how the zone is signed.
func (c *zoneSignCmd) plan(v *zone.Version, keys []*dnssec.Key) (*sign.Plan, error) {
	at := c.At.orNow()
	p := &sign.Plan{
		Validity: time.Duration(c.Validity), Jitter: time.Duration(c.Jitter), Refresh: time.Duration(c.Refresh), Skew: time.Hour,
	}
	if !c.Inception.at.IsZero() {
		p.Skew = at.Sub(c.Inception.at)
	}
	if !c.Expiration.at.IsZero() {
		p.Validity = c.Expiration.at.Sub(at)
	}
	if p.Validity <= 0 || p.Jitter >= p.Validity {
		return nil, errors.New("signatures would have expired when they are made: the expiration has to be later than --at, and --jitter less than the time between")
	}
	if p.ZONEMD = digests(v); c.ZONEMD && len(p.ZONEMD) == 0 {
		p.ZONEMD = []uint8{dnssec.ZONEMDSHA384}
	}
	if err := c.denial(&p.Denial); err != nil {
		return nil, err
	}
	if p.Denial.Kind != sign.None {
		c.addKeys(p, v, keys)
	}
	return p, nil
}

// digests returns the hash algorithms of the digests that the zone has: they are of the
// zone as it was, and are made anew.
func digests(v *zone.Version) (algorithms []uint8) {
	set, _ := v.Apex().RRset(dns.TypeZONEMD)
	for rd := range set.RData() {
		if z, err := dnssec.ParseZONEMD(rd); err == nil && dnssec.ZONEMDDigestLen(z.Algorithm) > 0 && !slices.Contains(algorithms, z.Algorithm) {
			algorithms = append(algorithms, z.Algorithm)
		}
	}
	return algorithms
}

func (c *zoneSignCmd) denial(d *sign.Denial) (err error) {
	d.Iterations = c.Iterations
	if d.Salt, err = hex.DecodeString(strings.TrimPrefix(c.Salt, "-")); err != nil {
		return fmt.Errorf("%q is no salt: expected octets in hexadecimal, such as 5a17", c.Salt)
	}
	switch c.Denial {
	case "nsec":
		d.Kind = sign.NSEC
	case "nsec3", "nsec3-opt-out":
		d.Kind, d.OptOut = sign.NSEC3, c.Denial != "nsec3"
	case "compact":
		d.Kind = sign.Compact
	}
	return nil
}

// addKeys gives the keys their work, and puts them beside those that the zone has.
func (c *zoneSignCmd) addKeys(p *sign.Plan, v *zone.Version, keys []*dnssec.Key) {
	kinds := make(map[uint8][2]bool) // by algorithm: are there keys without and with SEP?
	for _, k := range keys {
		kind := kinds[k.Algorithm()]
		kind[k.DNSKEY().Flags&dns.DNSKEYSEP] = true
		kinds[k.Algorithm()] = kind
	}
	ttl := uint32(time.Duration(c.DNSKEYTTL) / time.Second)
	for _, k := range keys {
		split := kinds[k.Algorithm()] == [2]bool{true, true}
		isSEP := k.DNSKEY().IsSEP()
		p.Keys = append(p.Keys, sign.Key{Key: k, SignsKeys: !split || isSEP, SignsZone: (!split || !isSEP) && !k.DNSKEY().IsRevoked()})
		p.Apex = append(p.Apex, dns.Record{Name: v.Origin(), Type: dns.TypeDNSKEY, Class: v.Class(), TTL: ttl, Data: k.RData()})
	}
	for r := range v.Apex().Records() {
		switch r.Type {
		case dns.TypeDNSKEY:
			r.TTL = ttl
			p.Apex = append(p.Apex, r)
		case dns.TypeCDS, dns.TypeCDNSKEY:
			p.Apex = append(p.Apex, r)
		}
	}
}

// write writes the zone: a file is there as a whole, or as it was.
func (c *zoneSignCmd) write(a *app, v *zone.Version) error {
	if c.Out == "" {
		return zonefile.Write(a.stdout, v.Origin(), v.Records())
	}
	return writeWhole(c.Out, func(w io.Writer) error { return zonefile.Write(w, v.Origin(), v.Records()) })
}

// writeWhole writes a file that is there as a whole, or as it was.
func writeWhole(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	mode := os.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	for _, step := range []func() error{func() error { return write(f) }, func() error { return f.Chmod(mode) }, f.Sync} {
		if err = step(); err != nil {
			break
		}
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}

func (c *zoneSignCmd) tell(w io.Writer, v *zone.Version, p *sign.Plan, r sign.Report) {
	fmt.Fprintf(w, "zone %s, serial %d: ", v.Origin(), v.Serial())
	if p.Denial.Kind == sign.None {
		fmt.Fprintf(w, "not signed, %s\n", count(v.Stats().Records, "record"))
		return
	}
	fmt.Fprintf(w, "%s made, %d kept, %s, %s", count(r.Signatures, "signature"), r.Kept, c.Denial, count(v.Stats().Records, "record"))
	if !r.Earliest.IsZero() {
		fmt.Fprintf(w, "; the first expires at %s", r.Earliest.UTC().Format(time.RFC3339))
	}
	fmt.Fprintln(w)
}
