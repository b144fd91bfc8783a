package https

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"

	quicgo "github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"onoma/dns"
)

// Client asks one server by HTTP, over connections that it keeps.
type Client struct {
	url  string
	web  http.Client
	idle interface{ CloseIdleConnections() }
}

// NewClient makes a client of the server at addr, whose name and path are in url. cfg says whom to trust; HTTP is of version
// 3, over QUIC, if h3 is set, and otherwise 2 or 1.1, as the server likes.
func NewClient(url string, addr netip.AddrPort, cfg *tls.Config, h3 bool) *Client {
	c := &Client{url: url}
	if h3 {
		t := &http3.Transport{TLSClientConfig: cfg.Clone(), Dial: func(ctx context.Context, _ string, cfg *tls.Config, q *quicgo.Config) (*quicgo.Conn, error) {
			return quicgo.DialAddrEarly(ctx, addr.String(), cfg, q)
		}}
		c.web.Transport, c.idle = t, t
		return c
	}
	t := &http.Transport{TLSClientConfig: cfg.Clone(), ForceAttemptHTTP2: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, addr.String())
	}}
	c.web.Transport, c.idle = t, t
	return c
}

// Exchange sends a query by POST and returns the answer, which comes back with the query's ID: on the wire it is 0
// (RFC 8484 §4.1).
func (c *Client) Exchange(ctx context.Context, query []byte) ([]byte, error) {
	if len(query) < dns.HeaderLen {
		return nil, fmt.Errorf("asking %s: the query has %d bytes, at least %d are possible", c.url, len(query), dns.HeaderLen)
	}
	body := append([]byte{0, 0}, query[2:]...)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", c.url, err)
	}
	req.Header.Set("Content-Type", mediaType)
	req.Header.Set("Accept", mediaType)
	resp, err := c.web.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking over https: %w", err)
	}
	defer resp.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(resp.Body, dns.MaxMessageLen))
	switch {
	case err != nil:
		return nil, fmt.Errorf("asking %s: reading the answer: %w", c.url, err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("asking %s: the server says %s", c.url, resp.Status)
	case !isMessage(resp.Header.Get("Content-Type")) || len(reply) < dns.HeaderLen:
		return nil, fmt.Errorf("asking %s: the server sent no DNS message", c.url)
	}
	copy(reply, query[:2])
	return reply, nil
}

// Close closes the connections that are kept.
func (c *Client) Close() {
	c.idle.CloseIdleConnections()
	if t, ok := c.idle.(io.Closer); ok {
		t.Close()
	}
}
