package main

import (
	"errors"
	"fmt"
	"slices"

	"onoma/telemetry/control"
)

// keysCmd has the verbs about the keys of zones that a server signs. They are both "onoma ctl keys" and "onoma zone keys".
type keysCmd struct {
	Show          keysShowCmd    `cmd:"" default:"withargs" help:"Show how the signing of a zone stands. The word show may be left out."`
	Roll          keysRollCmd    `cmd:"" help:"Have new keys take the place of those in use."`
	Retire        keysOneCmd     `cmd:"" help:"Have one key go as soon as nobody needs it."`
	Restore       keysOneCmd     `cmd:"" help:"Turn a rollover back: the key stays, and the one that was to follow it goes."`
	DsSeen        keysOneCmd     `cmd:"" help:"Say that all servers of the parent have the DS of a key (policy with ds: by-hand)."`
	DsGone        keysOneCmd     `cmd:"" help:"Say that no server of the parent has the DS of a key any more."`
	Look          keysLookCmd    `cmd:"" help:"Ask the parent's servers for the DS now."`
	Import        keysImportCmd  `cmd:"" help:"Take over the private keys of a zone that is signed already."`
	Export        keysExportCmd  `cmd:"" help:"Write a private key to a file."`
	Foreign       keysForeignCmd `cmd:"" help:"Other providers that sign the same zone (RFC 8901)."`
	SeenElsewhere keysOneCmd     `cmd:"" help:"Say that all other providers have a key of this server in their DNSKEY sets."`
}

// Help is the long text of the verbs.
func (keysCmd) Help() string {
	return `A zone that this server signs needs no hand: keys are made, published, used and removed by its policy. These verbs show what
happens when, and do what only a person can decide. What a person asks for is done step by step, too, and never faster than
caches forget. A key is named by its tag, or by its id where two have one tag.

    onoma zone keys example.com                    how it stands; exit status 1 where there is an alarm
    onoma zone keys example.com --timeline         and what is to come
    onoma zone keys example.com --ds               what the registrar wants to know
    onoma ctl keys roll example.com --role zsk
    onoma ctl keys roll example.com --emergency    the key may be in other hands
    onoma ctl keys ds-seen example.com 12345       policies with ds: by-hand`
}

// zoneKeysCmd is keysCmd with a way to the server.
type zoneKeysCmd struct {
	reach
	keysCmd
}

type keysShowCmd struct {
	namedZone
	Timeline bool `help:"Show the steps to come, too, with their times."`
	Days     int  `default:"30" placeholder:"N" help:"How far to look ahead (${default}), 3650 at most."`
	DS       bool `name:"ds" help:"Only what the parent should have: lines of DS and DNSKEY for a registrar."`
	JSON     bool `help:"As JSON, with the steps to come."`
}

// Help is the long text of the verb.
func (keysShowCmd) Help() string {
	return `Each key has up to four records: its DNSKEY, its signatures over the zone, its signature over the keys, and its DS at the parent. Each
of them is, as far as the world's caches know,

    hidden        nowhere to be found; shown as -
    rumoured      published, and not yet in all caches
    omnipresent   in all caches that have anything of that kind
    unretentive   taken away, and still in some caches

The phases are those of RFC 7583: generated, published, ready, active, retired, dead, removed. The exit status is 1 where there is
an alarm.`
}

// Run shows the keys.
func (c *keysShowCmd) Run(a *app, r *reach) error {
	client, err := r.client()
	if err != nil {
		return err
	}
	days := 0
	if c.Timeline || c.JSON {
		days = c.Days
	}
	v, err := client.Zone(c.Zone, c.View).Keys(a.ctx, days)
	err = show(a, c.JSON, v, err, func(v control.KeysView) error {
		if c.DS {
			return c.ds(a, v)
		}
		if err := a.page().Keys(v); err != nil || !c.Timeline {
			return err
		}
		return a.page().Timeline(v, c.Days)
	})
	if err == nil && isAlarming(&v) {
		return errFindings
	}
	return err
}

func (c *keysShowCmd) ds(a *app, v control.KeysView) error {
	if len(v.DS) == 0 {
		return hint(fmt.Errorf("the parent of %s should have no DS: the zone is %s", c.Zone, v.State), "\"onoma zone keys %s --timeline\" tells when that changes", c.Zone)
	}
	return a.page().DS(v)
}

// isAlarming reports whether somebody should look at the zone.
func isAlarming(v *control.KeysView) bool {
	return len(v.Alarms) > 0 || slices.ContainsFunc(v.Waits, func(w control.KeyWait) bool { return w.Alarm })
}

// doKeys asks for something to be done with a zone's keys, and tells what came of it.
func (a *app) doKeys(r *reach, z namedZone, q control.KeyRequest) error {
	client, err := r.client()
	if err != nil {
		return err
	}
	done, err := client.Zone(z.Zone, z.View).DoKeys(a.ctx, q)
	if err != nil {
		return a.told(err)
	}
	_, err = fmt.Fprintf(a.stdout, "%s %s\n", done.Zone, done.Result)
	return err
}

type keysRollCmd struct {
	namedZone
	Role      string `enum:"ksk,zsk,csk," default:"" placeholder:"ROLE" help:"Only the keys of this role: ksk, zsk or csk."`
	Emergency bool   `help:"Begin although another rollover is on its way, and without safety margins: the key may be in other hands."`
}

// Help is the long text of the verb.
func (keysRollCmd) Help() string {
	return `A new key is made and published; it takes over when all caches know it, and the old one goes when no cache needs it. A key with
a DS waits for the parent as well. "onoma zone keys NAME --timeline" tells when. An emergency leaves safety margins out, and signs everything anew at once
where the key signs the zone; TTLs count even then, or the zone would be bogus for those who have the old key cached.`
}

// Run has keys replaced.
func (c *keysRollCmd) Run(a *app, r *reach) error {
	return a.doKeys(r, c.namedZone, control.KeyRequest{Do: "roll", Role: c.Role, Emergency: c.Emergency})
}

// keysOneCmd is a verb about one key. The name of the verb is what is asked for.
type keysOneCmd struct {
	namedZone
	Key string `arg:"" help:"The key's tag, or its id."`
}

// Run does it.
func (c *keysOneCmd) Run(a *app, r *reach, verb verbName) error {
	return a.doKeys(r, c.namedZone, control.KeyRequest{Do: string(verb), Key: c.Key})
}

type keysLookCmd struct{ namedZone }

// Run has the parent asked.
func (c *keysLookCmd) Run(a *app, r *reach) error {
	return a.doKeys(r, c.namedZone, control.KeyRequest{Do: "look"})
}

type keysImportCmd struct {
	namedZone
	File []string `arg:"" help:"Files on the server's machine: BIND's K*.private beside its K*.key, or PEM as of Knot and PowerDNS."`
	NoDS bool     `name:"no-ds" help:"The parent has no DS of them."`
}

// Help is the long text of the verb.
func (keysImportCmd) Help() string {
	return `The zone goes on with the same keys, so nobody notices, and nothing has to change at the parent. Give all keys in one command, before this server has
made keys of its own for the zone: serve it as the other server has signed it, with the setting dnssec: auto, and import then. What a
PEM file is for is taken from the zone's DNSKEY set. The server reads the files, so they need to be readable by its user; they stay as they are.

    onoma ctl keys import example.com /var/lib/bind/Kexample.com.+013+12345.private
    onoma ctl keys import example.com /var/lib/knot/keys/keys/0123abcd.pem`
}

// Run has keys imported.
func (c *keysImportCmd) Run(a *app, r *reach) error {
	files, err := absolute(c.File)
	if err != nil {
		return err
	}
	return a.doKeys(r, c.namedZone, control.KeyRequest{Do: "import", Files: files, NoDS: c.NoDS})
}

type keysExportCmd struct {
	namedZone
	Key    string `arg:"" help:"The key's tag, or its id."`
	Format string `enum:"pem,private,key" default:"pem" help:"pem for Knot and PowerDNS, private for BIND, key for BIND's public half."`
	To     string `placeholder:"FILE" required:"" help:"A new file, which only its owner may read; - is standard output."`
}

// Help is the long text of the verb.
func (keysExportCmd) Help() string {
	return `Who has the file can sign as the zone does. The server's log tells that it was made.

    onoma ctl keys export example.com 12345 --to example.com.pem`
}

// Run writes a key.
func (c *keysExportCmd) Run(a *app, r *reach) error {
	client, err := r.client()
	if err != nil {
		return err
	}
	done, err := client.Zone(c.Zone, c.View).DoKeys(a.ctx, control.KeyRequest{Do: "export", Key: c.Key, Format: c.Format})
	switch {
	case err != nil:
		return a.told(err)
	case c.To == "-":
		_, err = fmt.Fprint(a.stdout, done.Result)
		return err
	}
	if err := writePrivate(c.To, done.Result); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s is key %s of %s\n", c.To, c.Key, done.Zone)
	return err
}

type keysForeignCmd struct {
	Add    keysForeignAddCmd    `cmd:"" help:"Take another provider's keys into this zone's DNSKEY set and DS."`
	Remove keysForeignRemoveCmd `cmd:"" help:"Have a provider's keys go as soon as nobody needs them."`
}

// Help is the long text of the verbs.
func (keysForeignCmd) Help() string {
	return `Several providers may sign one zone, each with keys of its own (RFC 8901, model 2), and a zone can move from one to
another in this way without being unsigned for a moment. Each has the others' keys in its DNSKEY set. With the zone's setting signers this
server asks the others for their keys, and none of these verbs is needed, but perhaps add, for a first key of a provider that is to be believed.

    onoma ctl keys foreign add example.com bunny '257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=='
    onoma zone keys example.com           when "may be in the NS set" stands there, the other's name servers may be added
    onoma ctl keys foreign remove example.com bunny   when its name servers are in no NS set any more`
}

type keysForeignAddCmd struct {
	namedZone
	Provider string   `arg:"" help:"A name for the other provider."`
	DNSKEY   []string `arg:"" help:"Its keys, each one argument: flags, protocol, algorithm and key as in a zone file."`
	Role     string   `enum:"ksk,zsk,csk," default:"" placeholder:"ROLE" help:"What they are for; without it the SEP flag says it: csk with it, zsk without."`
}

// Run adds keys.
func (c *keysForeignAddCmd) Run(a *app, r *reach) error {
	for _, k := range c.DNSKEY {
		if err := a.doKeys(r, c.namedZone, control.KeyRequest{Do: "add-foreign", Provider: c.Provider, DNSKEY: k, Role: c.Role}); err != nil {
			return err
		}
	}
	return nil
}

type keysForeignRemoveCmd struct {
	namedZone
	Provider string `arg:"" help:"The other provider."`
	Key      string `placeholder:"TAG" help:"Only this key, because the provider has rolled over to another one."`
}

// Run removes keys.
func (c *keysForeignRemoveCmd) Run(a *app, r *reach) error {
	return a.doKeys(r, c.namedZone, control.KeyRequest{Do: "remove-foreign", Provider: c.Provider, Key: c.Key})
}

var errExists = errors.New("there is such a file already")
