package peers

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// WithCookies returns the peer with DNS cookies made with secret, 32 hex digits. BIND and Knot then answer a cookie that
// is not theirs by BADCOOKIE; NSD, which cannot, answers it with a new one. PowerDNS's authority has none.
func (p *Peer) WithCookies(secret string) *Peer {
	with := *p
	with.configure = func(dir string, zones Zones, addr netip.AddrPort) ([]string, error) {
		args, err := p.configure(dir, zones, addr)
		if err != nil {
			return nil, err
		}
		file, edit := cookieConfig(p, secret)
		return args, rewrite(filepath.Join(dir, file), edit)
	}
	return &with
}

// cookieConfig names the peer's configuration file, and what to replace in it.
func cookieConfig(p *Peer, secret string) (file string, edit [2]string) {
	switch p {
	case NSD:
		return "nsd.conf", [2]string{"server:\n", fmt.Sprintf("server:\n  answer-cookie: yes\n  cookie-secret: %q\n", secret)}
	case Knot:
		return "knot.conf", [2]string{"template:\n  - id: default\n",
			fmt.Sprintf("mod-cookies:\n  - id: shared\n    secret: 0x%s\ntemplate:\n  - id: default\n    global-module: mod-cookies/shared\n", secret)}
	case BIND:
		return "named.conf", [2]string{"options {\n",
			fmt.Sprintf("options {\n  answer-cookie yes; require-server-cookie yes; cookie-algorithm siphash24; cookie-secret %q;\n", secret)}
	}
	panic(p.Name + " has no cookies")
}

func rewrite(file string, edit [2]string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if strings.Count(string(text), edit[0]) != 1 {
		return fmt.Errorf("%s: %q is not there once", file, edit[0])
	}
	return os.WriteFile(file, []byte(strings.Replace(string(text), edit[0], edit[1], 1)), 0o644)
}
