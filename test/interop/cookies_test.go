package interop

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/test/peers"
)

const (
	sharedSecret = "e5e973e5a6b2a43f48e7dc849e37bfcf"
	nextSecret   = "445536bcd2513298075a5d379663c962"
	clientCookie = "2464c4abcf10c957"
)

// cookieZone writes a zone for the servers of a test.
func cookieZone(t *testing.T) peers.Zones {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cookies.test.zone")
	text := "$TTL 300\n@ SOA ns hostmaster 1 7200 900 1209600 60\n@ NS ns\nns A 192.0.2.53\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return peers.Zones{{Name: "cookies.test.", File: file}}
}

// onomaWithCookies requires cookies with these secrets.
func onomaWithCookies(t *testing.T, zones peers.Zones, secrets ...string) *peers.Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secrets")
	if err := os.WriteFile(file, []byte(strings.Join(secrets, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := peers.Addr(t)
	return peers.StartOnoma(t, addr, "authority", "--listen", addr.String(), "--zone", zones[0].Name+"="+zones[0].File,
		"--cookie-secrets", file, "--require-cookies", "--nsid", "onoma")
}

// withCookie asks over UDP from 127.0.0.1, the address that cookies are for here, and returns the answer's code and cookie.
func withCookie(t *testing.T, s *peers.Server, cookie string) (rcode int, got string) {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("cookies.test.", dns.TypeSOA)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie})
	c := &dns.Client{Timeout: 5 * time.Second, Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}}}
	r, _, err := c.Exchange(m, s.Addr.String())
	if err != nil {
		t.Fatalf("asking %s: %v", s.Name, err)
	}
	if opt := r.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if o, ok := o.(*dns.EDNS0_COOKIE); ok {
				got = o.Cookie
			}
		}
	}
	return r.Rcode, got
}

// TestCookiesOfOthers: servers with the same secret take the cookies that we make, and we take theirs; nobody takes those of
// another secret.
func TestCookiesOfOthers(t *testing.T) {
	zones := cookieZone(t)
	ours := onomaWithCookies(t, zones, sharedSecret)
	stranger := onomaWithCookies(t, zones, nextSecret)
	rolling := onomaWithCookies(t, zones, nextSecret, sharedSecret)
	code, made := withCookie(t, ours, clientCookie)
	if code != dns.RcodeBadCookie || len(made) != 48 {
		t.Fatalf("our first answer is %s with cookie %q", dns.RcodeToString[code], made)
	}
	if code, _ := withCookie(t, stranger, made); code != dns.RcodeBadCookie {
		t.Errorf("another secret: %s, expected BADCOOKIE", dns.RcodeToString[code])
	}
	for _, p := range []*peers.Peer{peers.NSD, peers.Knot, peers.BIND} {
		t.Run(p.Name, func(t *testing.T) {
			theirs := p.WithCookies(sharedSecret).Start(t, zones, p.Addr(t))
			_, given := withCookie(t, theirs, clientCookie)
			if len(given) != 48 {
				t.Fatalf("its cookie is %q, expected 24 octets", given)
			}
			for _, s := range []*peers.Server{ours, rolling} {
				if code, _ := withCookie(t, s, given); code != dns.RcodeSuccess {
					t.Errorf("we answer its cookie by %s", dns.RcodeToString[code])
				}
			}
			if code, _ := withCookie(t, stranger, given); code != dns.RcodeBadCookie {
				t.Errorf("with another secret we answer its cookie by %s, expected BADCOOKIE", dns.RcodeToString[code])
			}
			if !accepts(t, theirs, made) {
				t.Errorf("it does not take our cookie %s", made)
			}
			if forged := made[:47] + string("0123456789abcdef"[(strings.IndexByte("0123456789abcdef", made[47])+1)%16]); accepts(t, theirs, forged) {
				t.Error("it takes a forged cookie: the test proves nothing")
			}
		})
	}
}

// accepts says whether the server takes the cookie: it does not say BADCOOKIE, and NSD, which never does, gives it back as it is.
func accepts(t *testing.T, s *peers.Server, cookie string) bool {
	t.Helper()
	code, got := withCookie(t, s, cookie)
	if code == dns.RcodeBadCookie {
		return false
	}
	return s.Name != "nsd" || got == cookie
}

// TestCookieClients: dig and kdig find their way through BADCOOKIE and call our cookie good.
func TestCookieClients(t *testing.T) {
	zones := cookieZone(t)
	s := onomaWithCookies(t, zones, sharedSecret)
	at, port := "@"+s.Addr.Addr().String(), strconv.Itoa(int(s.Addr.Port()))
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"dig":                    {[]string{at, "-p", port, "+cookie", "+nsid", "cookies.test", "SOA"}, []string{"status: NOERROR", "(good)", `("onoma")`, "hostmaster.cookies.test."}},
		"kdig":                   {[]string{at, "-p", port, "+cookie", "+badcookie", "+nsid", "cookies.test", "SOA"}, []string{"status: NOERROR", "COOKIE: ", "hostmaster.cookies.test."}},
		"kdig without cookies":   {[]string{at, "-p", port, "cookies.test", "SOA"}, []string{"status: NOERROR", "hostmaster.cookies.test."}},
		"dig without a question": {[]string{at, "-p", port, "+header-only", "+cookie", "+nobadcookie"}, []string{"status: NOERROR", "QUERY: 0", "(good)"}},
	} {
		t.Run(name, func(t *testing.T) {
			binary := strings.Fields(name)[0]
			peers.Need(t, binary)
			out, err := exec.Command(binary, c.args...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, want := range c.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
		})
	}
}
