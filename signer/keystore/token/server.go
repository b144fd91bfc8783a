package token

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"
)

// Backend is a token. It may be called by many goroutines.
type Backend interface {
	Ping() error
	// List returns up to most labels of private keys behind after, in order.
	List(after string, most int) ([]string, error)
	// Public returns the public key, in the form of DNSKEY records.
	Public(label string) (Kind, []byte, error)
	// Sign signs a digest made by hash, or data themselves where hash is 0. Of
	// ECDSA it returns both numbers, each in full length (RFC 6605 §4).
	Sign(label string, hash crypto.Hash, data []byte) ([]byte, error)
	// Generate makes a key that stays in the token.
	Generate(label string, kind Kind, bits int) error
}

// maxClients bounds the connections.
const maxClients = 64

// idle is how long a connection may say nothing.
const idle = 10 * time.Minute

// Serve answers requests until ctx ends; then it returns nil.
func Serve(ctx context.Context, l net.Listener, b Backend) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, maxClients)
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				c.Close()
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("serving a token: %w", err)
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			serveConn(ctx, c, b)
		})
	}
}

func serveConn(ctx context.Context, c net.Conn, b Backend) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	for {
		if c.SetDeadline(time.Now().Add(idle)) != nil {
			return
		}
		m, err := read(c)
		if err != nil {
			return
		}
		answer, err := serve(b, m)
		if err != nil {
			answer = failure(err)
		}
		if write(c, answer) != nil {
			return
		}
	}
}

var wanted = map[byte]int{opPing: 0, opList: 1, opPublic: 1, opSign: 3, opGenerate: 3}

// hashes are what digests may be made by; 0: the data themselves are signed.
var hashes = map[string]crypto.Hash{"": 0, "sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512}

func hashName(h crypto.Hash) (string, bool) {
	for name, known := range hashes {
		if known == h {
			return name, true
		}
	}
	return "", false
}

func serve(b Backend, m message) (message, error) {
	n, known := wanted[m.kind]
	if !known || len(m.fields) != n {
		return message{}, fmt.Errorf("%w: %w", ErrDenied, errMessage)
	}
	field := func(i int) string { return string(m.fields[i]) }
	if n > 0 && len(m.fields[0]) > maxLabel {
		return message{}, fmt.Errorf("%w: the label has more than %d octets", ErrDenied, maxLabel)
	}
	switch m.kind {
	case opPing:
		return message{}, b.Ping()
	case opList:
		return serveList(b, field(0))
	case opPublic:
		kind, public, err := b.Public(field(0))
		return message{fields: [][]byte{[]byte(kind), public}}, err
	case opSign:
		h, known := hashes[field(1)]
		if !known || h != 0 && len(m.fields[2]) != h.Size() {
			return message{}, fmt.Errorf("%w: no digest by %q has %d octets", ErrDenied, field(1), len(m.fields[2]))
		}
		signature, err := b.Sign(field(0), h, m.fields[2])
		return message{fields: [][]byte{signature}}, err
	}
	bits, err := strconv.Atoi(field(2))
	if err != nil || bits < 0 || bits > 4096 || field(0) == "" {
		return message{}, fmt.Errorf("%w: %w", ErrDenied, errors.New("a label, and at most 4096 bits, were expected"))
	}
	return message{}, b.Generate(field(0), Kind(field(1)), bits)
}

func serveList(b Backend, after string) (message, error) {
	labels, err := b.List(after, listPage)
	m := message{}
	for _, label := range labels {
		m.fields = append(m.fields, []byte(label))
	}
	return m, err
}
