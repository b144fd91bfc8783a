package main

import (
	"fmt"
	"time"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/zone"
	"onoma/zone/sign"
)

type zoneVerifyCmd struct {
	origin
	File string `arg:"" help:"The signed zone file."`

	At      moment `placeholder:"TIME" help:"Signatures have to be good then; without it, now."`
	Left    span   `help:"Say which signatures are good for less than this."`
	Anchor  string `placeholder:"FILE" help:"A file of DS or DNSKEY records of the zone: one of its keys has to be among them."`
	Compact bool   `help:"The zone needs no chain of NSEC or NSEC3: negative answers are signed when they are asked for."`
}

// Help is the long text of the verb.
func (zoneVerifyCmd) Help() string {
	return `Every signature is verified, by the keys of the zone itself: each set of records has to be signed by each algorithm that
the keys have, and the chain of NSEC or NSEC3 has to be complete. A digest of the zone (ZONEMD) is verified too. What is
wrong is a finding, with a cure, and the exit status is 1; a file that cannot be read is 2. Otherwise it is 0.

    onoma zone verify example.com.signed --anchor dsset-example.com.
    onoma zone verify example.com.signed --at +7d`
}

// Run verifies the zone.
func (c *zoneVerifyCmd) Run(a *app) error {
	v, err := c.loadGood(a.stderr, c.File)
	if err != nil {
		return err
	}
	anchors, err := c.anchors(v.Origin())
	if err != nil {
		return err
	}
	findings := sign.VerifyContext(a.ctx, v, sign.VerifyOptions{
		At: c.At.orNow(), Left: time.Duration(c.Left), Anchors: anchors, Compact: c.Compact,
	})
	serious := writeFindings(a.stdout, c.File, findings)
	fmt.Fprintf(a.stdout, "%s: zone %s, serial %d: %s, %s, %d errors, %d warnings\n", c.File, v.Origin(), v.Serial(),
		count(v.Stats().Records, "record"), count(signatures(v), "signature"), serious, len(findings)-serious)
	if len(findings) > 0 {
		return errFindings
	}
	return nil
}

func signatures(v *zone.Version) (n int) {
	for node := range v.Nodes() {
		for _, sigs := range node.Signatures() {
			n += sigs.Count()
		}
	}
	return n
}

// anchors reads the records that the parent, or a validator, has of the zone.
func (c *zoneVerifyCmd) anchors(origin dns.Name) (list []dns.Record, err error) {
	if c.Anchor == "" {
		return nil, nil
	}
	r, err := zonefile.Open(c.Anchor, zonefile.Options{Origin: origin, DefaultTTL: 3600})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	all, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Anchor, err)
	}
	for _, rec := range all {
		if rec.Name.Equal(origin) && (rec.Type == dns.TypeDS || rec.Type == dns.TypeDNSKEY) {
			list = append(list, rec)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has no DS or DNSKEY record of %s", c.Anchor, origin)
	}
	return list, nil
}
