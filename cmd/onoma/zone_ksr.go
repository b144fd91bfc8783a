package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/dnssec/keyfile"
	"onoma/dns/zonefile"
	"onoma/signer/keystore"
	"onoma/signer/keystore/token"
	"onoma/signer/offline"
)

// span is a length of time that may be told in days.
type span time.Duration

// UnmarshalText reads '14d', or what Go takes for a length of time.
func (s *span) UnmarshalText(text []byte) error {
	if days, isDays := strings.CutSuffix(string(text), "d"); isDays {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("%q: a length of time such as 14d or 12h was expected", text)
		}
		*s = span(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return fmt.Errorf("%q: a length of time such as 14d or 12h was expected", text)
	}
	*s = span(d)
	return nil
}

// moment is a time, or one that is so far from now.
type moment struct{ at time.Time }

// UnmarshalText reads '+90d', '2026-01-31' or '2026-01-31T12:00:00Z'.
func (m *moment) UnmarshalText(text []byte) (err error) {
	if ahead, is := strings.CutPrefix(string(text), "+"); is {
		var s span
		err := s.UnmarshalText([]byte(ahead))
		m.at = time.Now().Add(time.Duration(s))
		return err
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if m.at, err = time.Parse(form, string(text)); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%q: a time such as +90d, 2026-01-31 or 2026-01-31T12:00:00Z was expected", text)
}

func (m moment) orNow() time.Time {
	if m.at.IsZero() {
		return time.Now()
	}
	return m.at
}

// style is the flag of those verbs that write requests and responses.
type style struct {
	BIND bool `help:"Write as BIND's dnssec-ksr does; without it as Knot's keymgr. Both are read."`
}

func (s style) write(a *app, f *offline.File) error {
	form := offline.Knot
	if s.BIND {
		form = offline.BIND
	}
	return f.Write(a.stdout, form, time.Now(), "onoma")
}

type zoneKsrCmd struct {
	style
	Keys  []string `arg:"" help:"Zone-signing keys: BIND's files, with times. The public half (.key) is enough."`
	From  moment   `placeholder:"TIME" help:"When the first set begins; now without it."`
	Until moment   `required:"" placeholder:"TIME" help:"When it ends: +90d, or a date."`
	TTL   uint32   `default:"3600" help:"The TTL of the DNSKEY set where the files do not say it."`
}

// Help is the long text of the verb.
func (zoneKsrCmd) Help() string {
	return `What is printed goes to where the key-signing key is; 'onoma zone skr sign' (or Knot's 'keymgr sign-ksr', or BIND's
'dnssec-ksr sign') makes the response of it. A set begins with each time at which a key is published or deleted.

    onoma zone ksr --until +90d Kexample.com.+013+*.key > example.ksr`
}

// Run prints a request.
func (c *zoneKsrCmd) Run(a *app) error {
	var keys []offline.Scheduled
	var zone dns.Name
	ttl := c.TTL
	for _, path := range c.Keys {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		p, err := keyfile.ParsePublic(path, text)
		if err != nil {
			return err
		}
		if !zone.IsZero() && !zone.Equal(p.Name) {
			return fmt.Errorf("%s: a key of %s; one of %s was expected, as before", path, p.Name, zone)
		}
		if p.Key.IsSEP() {
			return hint(fmt.Errorf("%s: a key-signing key", path), "a request has zone-signing keys; the other joins them where it is")
		}
		if zone = p.Name; p.HasTTL {
			ttl = p.TTL
		}
		keys = append(keys, offline.Scheduled{Key: p.Key, Publish: p.Publish, Remove: p.Delete})
	}
	f, err := offline.NewRequest(zone, ttl, keys, c.From.orNow(), c.Until.at)
	if err != nil {
		return err
	}
	return c.write(a, f)
}

type zoneSkrCmd struct {
	Sign  skrSignCmd  `cmd:"" help:"Make the response to a key signing request, where the key-signing key is."`
	Check skrCheckCmd `cmd:"" help:"Tell whether a response is whole and good, and for how long."`
}

type skrSignCmd struct {
	style
	KSR      string   `arg:"" help:"The request."`
	Keys     []string `name:"key" required:"" sep:"none" placeholder:"FILE" help:"The key-signing key: BIND's .private, PEM, or pkcs11:TOKEN/LABEL;ALGORITHM;257. More than one in a rollover."`
	Validity span     `default:"14d" help:"How long a signature is good."`
	Refresh  span     `default:"7d" help:"How long before its end the next one begins."`
	Skew     span     `default:"1h" help:"How long before its time a signature is good already."`
	Until    moment   `placeholder:"TIME" help:"The end of the last set, where the request (BIND's) does not say it."`
	Module   string   `placeholder:"LIBRARY" help:"For keys in a token: the PKCS #11 library of its maker."`
	PIN      string   `placeholder:"SPEC" help:"For keys in a token: file:PATH, env:NAME or credential:NAME."`
}

// Run prints a response.
func (c *skrSignCmd) Run(a *app) error {
	ksr, err := offline.Read(c.KSR)
	if err != nil {
		return err
	}
	o := offline.SignOptions{Validity: time.Duration(c.Validity), Refresh: time.Duration(c.Refresh), Skew: time.Duration(c.Skew), Until: c.Until.at}
	for _, from := range c.Keys {
		k, done, err := c.load(a, from, ksr.Zone)
		if err != nil {
			return err
		}
		defer done()
		o.Keys = append(o.Keys, k)
	}
	skr, err := offline.Sign(a.ctx, ksr, o)
	if err != nil {
		return err
	}
	return c.write(a, skr)
}

// load reads a key-signing key of any form.
func (c *skrSignCmd) load(a *app, from string, zone dns.Name) (k offline.KSK, done func(), err error) {
	done = func() {}
	k.CDS = true
	switch {
	case strings.HasPrefix(from, "pkcs11:"):
		k.Key, done, err = c.loadToken(a, from)
	case strings.HasSuffix(from, ".pem"):
		var warnings []string
		k.Key, warnings, err = keyfile.ReadPEM(from, 0, dns.DNSKEYZone|dns.DNSKEYSEP)
		warn(a, warnings)
	default:
		var name dns.Name
		var meta keyfile.Meta
		name, k.Key, meta, err = keyfile.Read(from)
		warn(a, meta.Warnings)
		k.Publish, k.Activate, k.Inactive, k.Remove = meta.Publish, meta.Activate, meta.Inactive, meta.Delete
		if err == nil && !name.Equal(zone) {
			err = fmt.Errorf("%s: a key of %s; one of %s was expected, as the request has it", from, name, zone)
		}
	}
	if err == nil && !k.DNSKEY().IsSEP() {
		err = fmt.Errorf("%s: a zone-signing key; one with flags 257 was expected", from)
	}
	if err != nil {
		done()
	}
	return k, done, err
}

func warn(a *app, warnings []string) {
	for _, w := range warnings {
		fmt.Fprintln(a.stderr, "onoma:", w)
	}
}

// loadToken starts the helper for a token.
func (c *skrSignCmd) loadToken(a *app, id string) (*dnssec.Key, func(), error) {
	r, algorithm, flags, err := keystore.ParseTokenID(id)
	if err != nil {
		return nil, func() {}, err
	}
	if c.Module == "" || c.PIN == "" {
		return nil, func() {}, hint(fmt.Errorf("%s: how is the token reached?", id), "--module with the PKCS #11 library of its maker, and --pin file:PATH")
	}
	client := token.NewSet([]token.Spec{{Name: r.Token, Module: c.Module, Label: r.Token, PIN: c.PIN}})
	done := client.Close
	signer, err := client.Find(a.ctx, r)
	if err != nil {
		return nil, done, err
	}
	if algorithm == 0 {
		algorithm = keyfile.AlgorithmOf(signer)
	}
	k, err := keyfile.NewKey(signer, algorithm, flags)
	return k, done, err
}

type skrCheckCmd struct {
	SKR   string `arg:"" help:"The response."`
	Trust string `placeholder:"FILE" help:"DS or DNSKEY records that the signatures have to lead to; without it, any key with the SEP flag counts."`
	At    moment `placeholder:"TIME" help:"Print what stands at the zone's apex at that time."`
}

// Run checks a response.
func (c *skrCheckCmd) Run(a *app) error {
	f, err := offline.Read(c.SKR)
	if err != nil {
		return err
	}
	trust, err := readTrust(c.Trust)
	if err != nil {
		return err
	}
	if err := f.Verify(trust); err != nil {
		fmt.Fprintln(a.stdout, err)
		return errFindings
	}
	if c.At.at.IsZero() {
		first := f.Bundles[0]
		fmt.Fprintf(a.stdout, "%s: zone %s, %d sets, good from %s until %s\n", c.SKR, f.Zone, len(f.Bundles), first.From.Format(time.RFC3339), f.Until().Format(time.RFC3339))
		return nil
	}
	records, err := f.At(c.At.at)
	if err != nil {
		return err
	}
	for _, r := range records {
		fmt.Fprintln(a.stdout, r)
	}
	return nil
}

func readTrust(path string) ([]dns.Record, error) {
	if path == "" {
		return nil, nil
	}
	z, err := zonefile.Open(path, zonefile.Options{DefaultTTL: 3600})
	if err != nil {
		return nil, err
	}
	defer z.Close()
	var trust []dns.Record
	for {
		r, err := z.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if r.Type == dns.TypeDS || r.Type == dns.TypeDNSKEY {
			r.Data = append(dns.RData(nil), r.Data...)
			trust = append(trust, r)
		}
	}
	if len(trust) == 0 {
		return nil, fmt.Errorf("%s: DS or DNSKEY records were expected", path)
	}
	return trust, nil
}
