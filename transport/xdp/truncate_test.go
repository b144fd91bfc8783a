package xdp

import (
	"bytes"
	"testing"
)

// edns are an OPT record with one option, and a TSIG-like record behind it.
const (
	edns  = "\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x06\x00\x03\x00\x02ns"
	other = "\x01k\x00\x00\xfa\x00\xff\x00\x00\x00\x00\x00\x01x"
)

func TestTruncate(t *testing.T) {
	const (
		question = "\x07example\x03com\x00\x00\x10\x00\x01"
		answer   = "\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x04\x03abc"
		ns       = "\xc0\x0c\x00\x02\x00\x01\x00\x00\x00\x3c\x00\x02\xc0\x0c"
	)
	msg := []byte("\x12\x34\x84\x00\x00\x01\x00\x02\x00\x01\x00\x03" + question + answer + answer + ns + ns + edns + other)
	cases := []struct {
		name  string
		msg   []byte
		limit int
		want  string
	}{
		{"OPT stays", msg, 200, "\x12\x34\x86\x00\x00\x01\x00\x00\x00\x00\x00\x01" + question + edns},
		{"no room for OPT", msg, 30, "\x12\x34\x86\x00\x00\x01\x00\x00\x00\x00\x00\x00" + question},
		{"no room at all", msg, 20, ""},
		{"no OPT", []byte("\x12\x34\x84\x00\x00\x01\x00\x01\x00\x00\x00\x00" + question + answer), 200,
			"\x12\x34\x86\x00\x00\x01\x00\x00\x00\x00\x00\x00" + question},
		{"records cut off", msg[:60], 200, "\x12\x34\x86\x00\x00\x01\x00\x00\x00\x00\x00\x00" + question},
		{"question cut off", msg[:20], 200, "\x12\x34\x86\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"no header", msg[:11], 200, ""},
	}
	for _, c := range cases {
		if got := truncate(bytes.Clone(c.msg), c.limit); string(got) != c.want {
			t.Errorf("%s:\n got %x\nwant %x", c.name, got, c.want)
		}
	}
}

func FuzzTruncate(f *testing.F) {
	f.Add([]byte("\x12\x34\x84\x00\x00\x01\x00\x00\x00\x00\x00\x01\x00\x00\x10\x00\x01"+edns), 100)
	f.Add([]byte{}, 0)
	f.Fuzz(func(t *testing.T, msg []byte, limit int) {
		id := ""
		if len(msg) >= 2 {
			id = string(msg[:2])
		}
		got := truncate(msg, limit)
		if len(got) > max(limit, 0) || got != nil && (string(got[:2]) != id || got[2]&tcBit == 0) {
			t.Errorf("limit %d: %x", limit, got)
		}
	})
}
