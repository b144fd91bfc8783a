// Package preflight opens what a configuration names, so that "onoma config
// check" tells before a start what would go wrong at it: keys, certificates, zone
// files, commands. It reads and changes nothing.
//
// Check is called by one goroutine, and has a few of its own for zone files.
package preflight

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"time"

	"onoma/authority"
	"onoma/config"
	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/transport/cookie"
	"onoma/zone"
)

// Finding is something wrong or odd with what a configuration names.
type Finding struct {
	At      config.Pos // of the setting; without a line if it has none
	Warning bool       // it is odd, and the server starts
	Text    string
}

// String returns PLACE: error: TEXT.
func (f Finding) String() string {
	kind := "error"
	if f.Warning {
		kind = "warning"
	}
	if f.At.Line == 0 {
		return kind + ": " + f.Text
	}
	return fmt.Sprintf("%s: %s: %s", f.At, kind, f.Text)
}

// Options say what to check against.
type Options struct {
	Getenv func(string) string // where secrets may be; nil: os.Getenv
	Now    time.Time           // for certificates
}

// Check opens everything, and returns what it found: of keys, files, servers, signing and
// zones, in this order.
func Check(c *config.Config, o Options) []Finding {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	k := checker{c: c, o: o}
	k.keys(c)
	k.files(c)
	k.remotes(c)
	k.signing(c)
	k.zones(c.Zones)
	for _, v := range c.Views {
		k.zones(v.Zones)
	}
	k.unused(c)
	return k.found
}

type checker struct {
	c     *config.Config
	o     Options
	found []Finding
}

func (k *checker) fail(at config.Pos, format string, args ...any) {
	k.found = append(k.found, Finding{At: at, Text: fmt.Sprintf(format, args...)})
}

func (k *checker) warn(at config.Pos, format string, args ...any) {
	k.found = append(k.found, Finding{At: at, Warning: true, Text: fmt.Sprintf(format, args...)})
}

func (k *checker) keys(c *config.Config) {
	for _, key := range c.Keys {
		if key.File == "" {
			if _, err := key.Secret.Octets(k.o.Getenv); err != nil {
				k.fail(key.At, "key %s: %v", key.Name, err)
			}
			continue
		}
		keys, open, err := authority.ReadKeys(key.File)
		switch {
		case err != nil:
			k.fail(key.At, "key %s: %v", key.Name, err)
		case !slices.ContainsFunc(keys, func(other dns.TSIGKey) bool { return other.Name.Equal(key.Name) }):
			k.fail(key.At, "key %s is not in %s", key.Name, key.File)
		case open:
			k.warn(key.At, "everybody on this machine can read %s: chmod o-r takes that away", key.File)
		}
	}
}

// readable tells of a file that cannot be read.
func (k *checker) readable(what, path string) {
	if path == "" {
		return
	}
	f, err := os.Open(path)
	if err != nil {
		k.fail(config.Pos{}, "%s: %v", what, err)
		return
	}
	f.Close()
}

// files are those that are named outside of zones.
func (k *checker) files(c *config.Config) {
	if path := c.Server.Cookies.Secrets; path != "" {
		if _, err := cookie.ReadSecrets(path); err != nil {
			k.fail(config.Pos{}, "server.cookies.secrets: %v", err)
		}
	}
	for _, pair := range c.TLS.Certificates {
		k.pair("tls.certificates", pair.Cert, pair.Key)
	}
	k.readable("tls.acme.roots", c.TLS.ACME.Roots)
	if info, err := os.Stat(c.Data); err == nil && !info.IsDir() {
		k.fail(config.Pos{}, "data: %s is no directory", c.Data)
	}
}

// pair tells of a certificate and a key that do not go together or whose time is over.
func (k *checker) pair(what, cert, key string) {
	p, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		k.fail(config.Pos{}, "%s: %s and %s: %v", what, cert, key, err)
		return
	}
	const soon = 7 * 24 * time.Hour
	switch end := p.Leaf.NotAfter; {
	case k.o.Now.After(end):
		k.fail(config.Pos{}, "%s: %s was good until %s", what, cert, end.Format(time.DateTime))
	case k.o.Now.Add(soon).After(end):
		k.warn(config.Pos{}, "%s: %s is good until %s only", what, cert, end.Format(time.DateTime))
	}
}

func (k *checker) remotes(c *config.Config) {
	for _, r := range c.Servers {
		what := "server " + r.Name
		if r.TLS.Cert != "" {
			k.pair(what, r.TLS.Cert, r.TLS.Key)
		}
		if r.TLS.CA == "" {
			continue
		}
		text, err := os.ReadFile(r.TLS.CA)
		if err != nil {
			k.fail(config.Pos{}, "%s: %v", what, err)
		} else if !x509.NewCertPool().AppendCertsFromPEM(text) {
			k.fail(config.Pos{}, "%s: %s has no certificate, expected PEM", what, r.TLS.CA)
		}
	}
}

// zones looks at all zones of a view, a few at a time.
func (k *checker) zones(zones []config.Zone) {
	results := make([][]Finding, len(zones))
	var wg sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				results[i] = k.checkZone(&zones[i])
			}
		})
	}
	for i := range zones {
		next <- i
	}
	close(next)
	wg.Wait()
	k.found = append(k.found, slices.Concat(results...)...)
}

// checkZone looks at one zone: whether its content can come from anywhere, and is good.
func (k *checker) checkZone(z *config.Zone) (found []Finding) {
	add := func(warning bool, format string, args ...any) {
		found = append(found, Finding{z.At, warning, fmt.Sprintf(format, args...)})
	}
	if command := z.Gate.Command; len(command) > 0 {
		if _, err := exec.LookPath(command[0]); err != nil {
			add(false, "zone %s: gate.command: %v", z.Name, err)
		}
	}
	switch {
	case z.File != "":
		v, findings, err := zone.LoadFile(z.File, z.Name)
		var mistakes zonefile.Errors
		switch {
		case errors.As(err, &mistakes):
			for _, m := range mistakes {
				add(false, "zone %s: %v", z.Name, m)
			}
		case err != nil:
			add(false, "zone %s: %v", z.Name, err)
		}
		if err != nil {
			return found // what was not read cannot be judged
		}
		for _, f := range findings {
			add(f.Severity != zone.Error || z.Gate.Checks == "off", "zone %s: %s: %s", z.Name, z.File, f)
		}
		if text := tooLong(v, z.DNSSEC, k.c); text != "" {
			add(true, "zone %s: %s: %s", z.Name, z.File, text)
		}
	case len(z.Primaries) == 0 && len(z.Update) == 0 && !z.Catalog.Produce:
		add(true, "zone %s has neither a file nor primaries nor rules for UPDATE: it is served once \"onoma ctl\" has put something into it", z.Name)
	}
	return found
}

// unused tells of templates and servers that nothing names.
func (k *checker) unused(c *config.Config) {
	templates, servers := make(map[string]bool), make(map[string]bool)
	use := func(s *config.Settings) {
		for _, r := range slices.Concat(s.Primaries, s.Notify) {
			servers[r.Name] = true
		}
		if s.Catalog.Consume != nil {
			templates[s.Catalog.Consume.Template] = true
			for _, g := range s.Catalog.Consume.Groups {
				templates[g.Template] = true
			}
		}
	}
	for i := range c.Templates {
		use(&c.Templates[i].Settings)
		templates[c.Templates[i].Template] = true
	}
	zones := func(zones []config.Zone) {
		for i := range zones {
			use(&zones[i].Settings)
			templates[zones[i].Template] = true
		}
	}
	zones(c.Zones)
	for _, v := range c.Views {
		zones(v.Zones)
	}
	for _, t := range c.Templates {
		if !templates[t.Name] {
			k.warn(config.Pos{}, "template %s is used by nothing", t.Name)
		}
	}
	for _, r := range c.Servers {
		if !servers[r.Name] {
			k.warn(config.Pos{}, "server %s is used by nothing", r.Name)
		}
	}
}
