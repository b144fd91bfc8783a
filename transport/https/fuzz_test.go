package https

import (
	"bytes"
	"net/http"
	"net/url"
	"testing"

	"onoma/dns"
	"onoma/transport"
)

// slowFreshness is freshness by way of the whole message.
func slowFreshness(m *dns.Message) (seconds uint32, ok bool) {
	if m.Flags.Has(dns.FlagTC) || m.Flags.RCode() != dns.RCodeNoError && m.Flags.RCode() != dns.RCodeNXDomain {
		return 0, false
	}
	seconds = 1<<31 - 1
	for _, r := range m.Answer {
		seconds, ok = min(seconds, r.TTL), true
	}
	for _, r := range m.Authority {
		// An empty SOA is possible, in an UPDATE.
		if soa := r.Data; r.Type == dns.TypeSOA && len(soa) > 0 {
			minimum := uint32(soa[len(soa)-4])<<24 | uint32(soa[len(soa)-3])<<16 | uint32(soa[len(soa)-2])<<8 | uint32(soa[len(soa)-1])
			seconds, ok = min(seconds, r.TTL, minimum), true
		}
	}
	return seconds, ok
}

func FuzzFreshness(f *testing.F) {
	for _, name := range []string{"www.", "nodata.", "fail."} {
		f.Add(answerer(nil, newQuery(query(name))))
	}
	f.Add([]byte{0, 0, 0x80, 0, 0, 0, 255, 255, 255, 255, 0, 0})
	f.Add([]byte("0000\x00\x01\x00\x00\x00\x01\x00\x00\x000000\xc0\f\x00\x06000000\x00\x00"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		seconds, ok := freshness(msg)
		m, err := dns.ParseMessage(msg)
		if err != nil {
			return
		}
		if want, wantOK := slowFreshness(m); ok != wantOK || ok && seconds != want {
			t.Errorf("fresh for %d (%v), want %d (%v)", seconds, ok, want, wantOK)
		}
	})
}

func FuzzRequest(f *testing.F) {
	f.Add(true, "", "dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB", []byte(nil))
	f.Add(false, mediaType, "", query("www."))
	f.Add(false, "text/html;;;", "", []byte{1})
	f.Fuzz(func(t *testing.T, get bool, contentType, rawQuery string, body []byte) {
		r := &http.Request{Method: "POST", URL: &url.URL{RawQuery: rawQuery}, Header: http.Header{"Content-Type": {contentType}}, Body: http.NoBody, ContentLength: -1}
		r.Body = readCloser{bytes.NewReader(body)}
		if get {
			r.Method = "GET"
		}
		msg, err := readQuery(r, make([]byte, 0, 16))
		if err == nil && (len(msg) < dns.HeaderLen || len(msg) > dns.MaxMessageLen || msg[2]&0x80 != 0) {
			t.Errorf("%x was taken for a query", msg)
		}
		if err != nil {
			if no, ok := err.(*refusal); !ok || no.status < 400 || no.status > 415 {
				t.Errorf("the request was refused by %v", err)
			}
		}
	})
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

func newQuery(msg []byte) *transport.Query { return &transport.Query{Msg: msg} }
