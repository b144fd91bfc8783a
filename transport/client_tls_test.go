package transport

import (
	"crypto/tls"
	"testing"
)

// The client asks over TLS, keeps its connection for the next question, resumes, and believes only whom it should.
func TestTLSClient(t *testing.T) {
	cfg := Config{Handler: flip}
	trust := overTLS(t, &cfg)
	trust.ClientSessionCache = tls.NewLRUClientSessionCache(2)
	s := start(t, cfg)
	c := Client{TLS: trust, Reuse: 1}
	for i := range 3 {
		r, err := c.Exchange(t.Context(), TLS, s.TLSAddrs()[0], question(1, "www"), nil)
		if err != nil || len(r.Msg) == 0 {
			t.Fatal(err)
		}
		if i == 1 {
			c.CloseIdle()
		}
	}
	c.CloseIdle()
	if st := s.Stats().TLSConns; st.Handshakes != 2 || st.Resumed != 1 {
		t.Errorf("counters: %+v", st)
	}
	for name, bad := range map[string]*tls.Config{
		"unknown roots": {ServerName: "ns.example"}, "another name": {RootCAs: trust.RootCAs, ServerName: "other.example"}, "nothing": nil,
	} {
		c := Client{TLS: bad}
		if _, err := c.Exchange(t.Context(), TLS, s.TLSAddrs()[0], question(1, "www"), nil); err == nil {
			t.Errorf("with %s the server is believed", name)
		}
	}
	c.TLS = &tls.Config{RootCAs: trust.RootCAs} // the certificate is also for the address
	if _, err := c.Exchange(t.Context(), TLS, s.TLSAddrs()[0], question(1, "www"), nil); err != nil {
		t.Error(err)
	}
	c.CloseIdle()
}
