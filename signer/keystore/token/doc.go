// Package token is the way to keys in PKCS #11 tokens. The libraries of their
// makers are C and run in a process of their own, onoma-pkcs11, so that what they
// do wrong stops no name server. The two talk over a Unix socket that belongs to
// their user alone.
//
// A message is its length in four octets and then a kind and fields; a request has
// one answer. Both sides bound what they read. The server half (Serve) knows
// nothing of PKCS #11: its Backend does.
//
// A Client and a Set may be used by many goroutines. A Client asks again by
// another connection if one broke, and starts its helper anew if that is its task.
package token

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Errors of tokens. An answer carries their number.
var (
	ErrNoKey  = errors.New("the token has no such key")
	ErrPIN    = errors.New("the token refused the PIN")
	ErrGone   = errors.New("the token is not there")
	ErrDenied = errors.New("the token refused")
)

var numbered = []error{nil, ErrNoKey, ErrPIN, ErrGone, ErrDenied}

// What is asked for.
const (
	opPing     = iota + 1
	opList     // (after) -> labels
	opPublic   // (label) -> kind, public key
	opSign     // (label, kind, hash, data) -> signature
	opGenerate // (label, kind, bits) -> nothing
)

const (
	maxMessage = 128 << 10 // what Ed25519 signs are the data of an RRset, which fits a message of 64 KiB
	maxFields  = 128
	maxLabel   = 255
	listPage   = 32
)

// message is a request or an answer; an answer's kind is 0 or the number of an
// error, whose text is its first field.
type message struct {
	kind   byte
	fields [][]byte
}

var errMessage = errors.New("malformed message")

// encode appends the wire form.
func (m message) encode() ([]byte, error) {
	b := []byte{0, 0, 0, 0, m.kind}
	if len(m.fields) > maxFields {
		return nil, errMessage
	}
	for _, f := range m.fields {
		if len(f) > maxMessage {
			return nil, errMessage
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(f))), f...)
	}
	if len(b)-4 > maxMessage {
		return nil, fmt.Errorf("%w: %d octets", errMessage, len(b)-4)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b, nil
}

// decode reads what follows the length.
func decode(b []byte) (message, error) {
	if len(b) == 0 || len(b) > maxMessage {
		return message{}, errMessage
	}
	m := message{kind: b[0]}
	for b = b[1:]; len(b) > 0; {
		if len(b) < 4 || len(m.fields) == maxFields {
			return message{}, errMessage
		}
		n := binary.BigEndian.Uint32(b)
		if b = b[4:]; uint64(n) > uint64(len(b)) {
			return message{}, errMessage
		}
		m.fields = append(m.fields, b[:n:n])
		b = b[n:]
	}
	return m, nil
}

func write(w io.Writer, m message) error {
	b, err := m.encode()
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

func read(r io.Reader) (message, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return message{}, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > maxMessage {
		return message{}, errMessage
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return message{}, err
	}
	return decode(b)
}

// failure makes an answer of an error.
func failure(err error) message {
	for n, known := range numbered {
		if n > 0 && errors.Is(err, known) {
			return message{byte(n), [][]byte{[]byte(clip(err.Error()))}}
		}
	}
	return message{byte(len(numbered) - 1), [][]byte{[]byte(clip(err.Error()))}}
}

func clip(s string) string { return s[:min(len(s), 512)] }

// answerError is the reverse; nil where the answer is none of an error.
func (m message) answerError() error {
	if m.kind == 0 {
		return nil
	}
	known, text := ErrDenied, "it says nothing more"
	if int(m.kind) < len(numbered) {
		known = numbered[m.kind]
	}
	if len(m.fields) > 0 {
		text = string(m.fields[0])
	}
	return &failed{known, clip(text)}
}

// failed keeps a text that names its kind already.
type failed struct {
	kind error
	text string
}

func (f *failed) Error() string { return f.text }
func (f *failed) Unwrap() error { return f.kind }

// Kind is a kind of key.
type Kind string

// The kinds that DNSSEC has algorithms for.
const (
	RSA     Kind = "rsa"
	P256    Kind = "p256"
	P384    Kind = "p384"
	Ed25519 Kind = "ed25519"
	Ed448   Kind = "ed448"
)
