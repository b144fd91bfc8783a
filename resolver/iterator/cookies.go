package iterator

import (
	"encoding/binary"
	"net/netip"
	"time"

	"onoma/dns"
)

// Cookies towards servers (RFC 7873 §5.1, §5.3; RFC 9018 §3): each server sees
// eight octets of chance that no other one does, and gets back what it gave us.
// Who does not know them cannot forge a reply, and a server that has once shown
// that it does cookies is believed over UDP only with one.

const (
	// cookieLife is how long a server sees the same client cookie. It is one more
	// thing by which to recognise us, so it does not last (RFC 7873 §7.1).
	cookieLife = 24 * time.Hour
	// noCookieFor is how long a server is left alone with cookies that does not cope with them.
	noCookieFor     = time.Hour
	clientCookieLen = 8 // RFC 7873 §4
)

// cookieIn is what a reply has of cookies.
type cookieIn struct {
	server []byte // for the next query
	isGood bool   // ours stands in it, and the server's
	isBad  bool   // it is the reply to somebody else's query, or forged
}

// cookieIn reads the cookie of a reply. Of several the first counts (RFC 7873
// §5.2), and a malformed one is none.
func (x *exchange) cookieIn(m *dns.Message) cookieIn {
	option, ok := m.EDNS.Option(dns.OptionCookie)
	if !ok || len(x.cookie) < clientCookieLen {
		return cookieIn{}
	}
	c, err := option.Cookie()
	switch {
	case err != nil:
		return cookieIn{}
	case string(c.Client) != string(x.cookie[:clientCookieLen]):
		return cookieIn{isBad: true}
	case len(c.Server) == 0:
		return cookieIn{}
	}
	return cookieIn{server: c.Server, isGood: true}
}

// cookies is what is known of a server's.
type cookies struct {
	client [clientCookieLen]byte
	made   time.Time
	server string    // as it came last; "": none yet
	until  time.Time // none are sent to it until then
}

// cookie returns what to send to the server.
func (c *cookies) cookie(now time.Time, fresh uint64) []byte {
	if now.Before(c.until) {
		return nil
	}
	if c.made.IsZero() || now.Sub(c.made) > cookieLife {
		binary.NativeEndian.PutUint64(c.client[:], fresh)
		c.made, c.server = now, ""
	}
	return append(c.client[:clientCookieLen:clientCookieLen], c.server...)
}

// setCookie remembers a server's cookie, unless ours has been renewed since.
func (s *servers) setCookie(a netip.AddrPort, sent []byte, server []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.get(a).cookies
	if len(sent) >= clientCookieLen && string(c.client[:]) == string(sent[:clientCookieLen]) && c.server != string(server) {
		c.server = string(server)
	}
}

// noCookies notes that a does not cope with cookies, or has given them up.
func (s *servers) noCookies(a netip.AddrPort, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.get(a).cookies
	c.until, c.server = now.Add(noCookieFor), ""
}
