package year

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	mdns "github.com/miekg/dns"

	"onoma/authority"
	"onoma/test/peers"
	"onoma/transport"
	"onoma/zone"
)

// live are validators of others that see the world's time and ask its servers by real messages: Unbound all year long, with its
// cache, and BIND's delv, which begins with nothing. Unbound asks the servers that lag most.
type live struct {
	w       *world
	unbound *peers.Server // nil: there is none
	anchors string        // as BIND has them
	both    netip.AddrPort
	hasDelv bool
	asked   int
	delved  int
}

func (w *world) newLive() *live {
	w.Helper()
	l := &live{w: w}
	if w.others.library == "" {
		return l
	}
	key := w.anchor()
	rd := w.parentKey.DNSKEY()
	l.anchors = filepath.Join(w.TempDir(), "anchors")
	text := fmt.Sprintf("trust-anchors { test. static-key %d 3 %d %q; };\n", rd.Flags, rd.Algorithm, strings.Fields(key.String())[len(strings.Fields(key.String()))-1])
	if err := os.WriteFile(l.anchors, []byte(text), 0o644); err != nil {
		w.Fatal(err)
	}
	child := l.listen(w.servers[len(w.servers)-1].zone)
	parent := l.listen(w.parentAt[len(w.parentAt)-1].zone)
	l.both = l.listen(w.servers[1].zone, w.parentAt[0].zone)
	_, err := exec.LookPath("delv")
	l.hasDelv = err == nil
	if _, err := exec.LookPath(peers.Unbound.Binary); err != nil {
		w.Log("Unbound is not asked, it is not installed")
		return l
	}
	for _, v := range w.others.environment() {
		if name, value, _ := strings.Cut(v, "="); name == "LD_PRELOAD" || name == "ONOMA_CLOCK" {
			old, was := os.LookupEnv(name)
			if err := os.Setenv(name, value); err != nil {
				w.Fatal(err)
			}
			defer func() {
				if os.Unsetenv(name); was {
					os.Setenv(name, old)
				}
			}()
		}
	}
	l.unbound = peers.Validator(w, key.String()+"\n", map[string]netip.AddrPort{"test": parent, "year.test": child})
	return l
}

// listen serves zones of the world by real messages.
func (l *live) listen(zones ...*zone.Zone) netip.AddrPort {
	l.w.Helper()
	a := authority.New(authority.Options{})
	for _, z := range zones {
		a.AddZone(z)
	}
	srv, err := transport.Listen(transport.Config{Handler: a, Addrs: []netip.AddrPort{netip.AddrPortFrom(peers.Addr(l.w).Addr(), 0)}})
	if err != nil {
		l.w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := srv.Serve(ctx); err != nil {
			l.w.Error(err)
		}
	})
	l.w.Cleanup(func() { cancel(); wg.Wait() })
	return srv.Addrs()[0]
}

// ask asks Unbound one of the questions.
func (l *live) ask(mayBeInsecure bool) string {
	if l.unbound == nil {
		return ""
	}
	question := questions[l.asked%len(questions)]
	l.asked++
	name, typ, _ := strings.Cut(question, " ")
	m := new(mdns.Msg)
	m.SetQuestion(name, mdns.StringToType[typ]).SetEdns0(1232, true)
	r, err := l.exchange(m)
	switch {
	case err != nil:
		return fmt.Sprintf("%s: %v", question, err)
	case r.Rcode != mdns.RcodeSuccess && r.Rcode != mdns.RcodeNameError:
		return fmt.Sprintf("%s:\n%s", question, r)
	case !r.AuthenticatedData && !mayBeInsecure && !isOptOut(r):
		return fmt.Sprintf("%s is not secure:\n%s", question, r)
	}
	return ""
}

// exchange asks again, as stub resolvers do: to Unbound, whose clock jumps, a query may seem to have waited for an hour, and
// it drops such.
func (l *live) exchange(m *mdns.Msg) (r *mdns.Msg, err error) {
	client := mdns.Client{Timeout: time.Second}
	for range 10 {
		if r, _, err = client.Exchange(m, l.unbound.Addr.String()); err == nil {
			break
		}
	}
	return r, err
}

// isOptOut: what such a span denies is never secure (RFC 5155 §9.2).
func isOptOut(r *mdns.Msg) bool {
	return slices.ContainsFunc(r.Ns, func(rr mdns.RR) bool {
		n, ok := rr.(*mdns.NSEC3)
		return ok && n.Flags&1 != 0
	})
}

// delv has it look at the whole chain.
func (l *live) delv(mayBeInsecure bool) string {
	if !l.hasDelv || l.anchors == "" {
		return ""
	}
	question := questions[l.delved%len(questions)]
	l.delved++
	name, typ, _ := strings.Cut(question, " ")
	ctx, done := context.WithTimeout(context.Background(), 20*time.Second)
	defer done()
	cmd := exec.CommandContext(ctx, "delv", "@"+l.both.Addr().String(), "-p", strconv.Itoa(int(l.both.Port())), "-a", l.anchors, "+root=test.", name, typ)
	cmd.Env = l.w.others.environment()
	out, err := cmd.CombinedOutput()
	switch text := string(out); {
	case err != nil:
		return fmt.Sprintf("delv %s: %v\n%s", question, err, text)
	case strings.Contains(text, "fully validated") && !strings.Contains(text, "unsigned answer"):
		return ""
	case strings.Contains(text, "unsigned answer") && (mayBeInsecure || l.w.isOptOut() && isDenied(question)):
		return ""
	default:
		return fmt.Sprintf("delv %s:\n%s", question, text)
	}
}
