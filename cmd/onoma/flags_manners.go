package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"onoma/authority"
	"onoma/transport"
	"onoma/transport/cookie"
	"onoma/transport/rrl"
)

// mannersFlags say what a name server tells of itself, and how it treats clients.
type mannersFlags struct {
	NSID          string  `name:"nsid" group:"Manners" placeholder:"TEXT" help:"What to call this server when a client asks (NSID, RFC 5001); 0x and hex digits for octets."`
	ServerVersion string  `group:"Manners" placeholder:"TEXT" help:"The answer to version.bind and version.server; without it, these are refused."`
	ServerID      string  `name:"server-id" group:"Manners" placeholder:"TEXT" help:"The answer to id.server and hostname.bind; without it, these are refused."`
	MaxUDP        int     `name:"max-udp" group:"Manners" placeholder:"N" default:"1232" help:"Octets of the longest answer over UDP, 512 to 4096 (${default}: no path breaks these into fragments)."`
	ReportAgent   dnsName `group:"Manners" placeholder:"NAME" help:"The domain that resolvers report errors to (RFC 9567)."`

	Cookies        bool   `group:"Manners" default:"true" negatable:"" help:"Give cookies to clients that know them (RFC 7873)."`
	CookieSecrets  string `group:"Manners" placeholder:"FILE" help:"Secrets that all servers of this address share, 32 hex digits each: the active one, and on a second line the next or the last one. SIGHUP reads the file again. Without it the secret is made up."`
	RequireCookies bool   `group:"Manners" help:"Over UDP, answer clients that know cookies only when they send one of ours."`

	RateLimit       int            `group:"Manners" placeholder:"N" help:"Answers a second over UDP of one kind to one network (IPv4 /24, IPv6 /56); without it there is no limit."`
	RateLimitTotal  int            `group:"Manners" placeholder:"N" help:"Answers a second over UDP to one network, whatever they are; without it 32 times --rate-limit."`
	RateLimitStream int            `group:"Manners" placeholder:"N" help:"Answers a second to one network over TCP, TLS, QUIC and HTTPS; without it there is no limit."`
	RateLimitSlip   int            `group:"Manners" placeholder:"N" default:"2" help:"Of answers too many, cut each N-th to a truncated one instead of dropping it: 1 all, 0 none, 15 at most (${default})."`
	RateLimitLeak   int            `group:"Manners" placeholder:"N" help:"Of answers too many, send one in N after all; without it none."`
	RateLimitAllow  []netip.Prefix `group:"Manners" placeholder:"PREFIX" help:"Networks without a limit; several with commas, or the flag again."`
	RateLimitSize   int            `group:"Manners" placeholder:"N" help:"Entries of the table of rates, eight octets each; 524288 if it is left out."`
}

// socketFlags say how packets are sent.
type socketFlags struct {
	DSCP int `name:"dscp" placeholder:"N" help:"Mark packets with this code point (RFC 2474), 0 to 63: over UDP, TCP, TLS and AF_XDP."`

	vouch transport.Vouch // who is let in first under a flood; nil: nobody
}

// manners are the flags' parts that live on while the server runs.
type manners struct {
	flags *mannersFlags
	jar   *cookie.Jar // nil: no cookies
}

// apply makes options for the authority of the flags.
func (f *mannersFlags) apply(a *app) (authority.Options, *manners, error) {
	m := &manners{flags: f}
	o := authority.Options{
		Version: f.ServerVersion, Hostname: f.ServerID, MaxUDP: uint16(f.MaxUDP),
		RequireCookies: f.RequireCookies, ReportAgent: f.ReportAgent.Name,
	}
	if f.MaxUDP < 512 || f.MaxUDP > 4096 {
		return o, nil, fmt.Errorf("--max-udp %d: expected 512 to 4096", f.MaxUDP)
	}
	var err error
	if o.NSID, err = octets(f.NSID); err != nil {
		return o, nil, fmt.Errorf("--nsid: %w", err)
	}
	if len(o.NSID) > 128 || len(o.Version) > 255 || len(o.Hostname) > 255 {
		return o, nil, fmt.Errorf("--nsid, --server-version or --server-id is too long: expected at most 128, 255 and 255 octets")
	}
	if m.jar, err = f.cookieJar(a.ctx); err != nil {
		return o, nil, err
	}
	o.Cookies = m.jar
	o.Limiter, err = f.limiter(a.ctx, a.log)
	return o, m, err
}

// octets reads text, or 0x and hex digits.
func octets(s string) ([]byte, error) {
	digits, isHex := strings.CutPrefix(s, "0x")
	if !isHex {
		return []byte(s), nil
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("%s: expected pairs of hex digits behind 0x, or a text without it", s)
	}
	return b, nil
}

func (f *mannersFlags) cookieJar(ctx context.Context) (*cookie.Jar, error) {
	switch {
	case !f.Cookies && (f.CookieSecrets != "" || f.RequireCookies):
		return nil, fmt.Errorf("--no-cookies with --cookie-secrets or --require-cookies: expected one or the other")
	case !f.Cookies:
		return nil, nil
	case f.CookieSecrets == "":
		jar := cookie.NewJar(cookie.RandomSecrets())
		go roll(ctx, jar, time.NewTicker(secretLife))
		return jar, nil
	}
	s, err := cookie.ReadSecrets(f.CookieSecrets)
	if err != nil {
		return nil, hint(err, "each line has the 32 hex digits of one secret, as from: openssl rand -hex 16")
	}
	return cookie.NewJar(s), nil
}

// secretLife is how long a secret that was made up is used (RFC 7873 §7.1: 36 days at most).
const secretLife = 24 * time.Hour

func roll(ctx context.Context, jar *cookie.Jar, every *time.Ticker) {
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			jar.Roll()
		}
	}
}

func (f *mannersFlags) limiter(ctx context.Context, log *slog.Logger) (*rrl.Limiter, error) {
	if f.RateLimit == 0 && f.RateLimitStream == 0 {
		if f.RateLimitTotal != 0 || len(f.RateLimitAllow) > 0 || f.RateLimitSize != 0 {
			return nil, fmt.Errorf("--rate-limit-total, -allow or -size without --rate-limit: expected a rate")
		}
		return nil, nil
	}
	return rrl.New(rrl.Options{
		Rate: f.RateLimit, Total: f.RateLimitTotal, Stream: f.RateLimitStream, Slip: f.RateLimitSlip, Leak: f.RateLimitLeak,
		Allow: f.RateLimitAllow, Size: f.RateLimitSize, Log: logLimited(ctx, log),
	})
}

// logLimited returns a function that hands events to a goroutine that logs
// them; while the log is slow, they are forgotten.
func logLimited(ctx context.Context, log *slog.Logger) func(rrl.Event) {
	events := make(chan rrl.Event, 1)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-events:
				log.Warn("answers are limited", "network", e.Network, "class", e.Class)
			}
		}
	}()
	return func(e rrl.Event) {
		select {
		case events <- e:
		default:
		}
	}
}

// vouch knows clients by their cookies.
func (m *manners) vouch() transport.Vouch {
	if m.jar == nil {
		return nil
	}
	return func(msg []byte, client netip.AddrPort, now int64) bool { return m.jar.Valid(msg, client.Addr(), now) }
}

// reload reads the cookie secrets again; bad ones change nothing.
func (m *manners) reload(log *slog.Logger) {
	if m.flags.CookieSecrets == "" {
		return
	}
	s, err := cookie.ReadSecrets(m.flags.CookieSecrets)
	if err != nil {
		log.Error("cookie secrets not reloaded, the last good ones stay in use", "error", err)
		return
	}
	m.jar.Set(s)
	log.Info("cookie secrets reloaded", "file", m.flags.CookieSecrets)
}
