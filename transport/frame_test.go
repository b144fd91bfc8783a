package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// chunked reads a stream in pieces whose lengths the fuzzer chooses.
type chunked struct {
	rest  []byte
	sizes []byte
	i     int
}

func (c *chunked) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := len(c.rest)
	if len(c.sizes) > 0 {
		n = min(n, 1+int(c.sizes[c.i%len(c.sizes)]))
		c.i++
	}
	n = copy(b, c.rest[:n])
	c.rest = c.rest[n:]
	return n, nil
}

// cut is the obvious way to cut a stream of which all is there.
func cut(stream []byte, max int) (msgs [][]byte, broken bool) {
	for len(stream) >= lengthLen {
		n := int(binary.BigEndian.Uint16(stream))
		if n < headerLen || n > max {
			return msgs, true
		}
		if len(stream) < lengthLen+n {
			break
		}
		msgs = append(msgs, stream[lengthLen:lengthLen+n])
		stream = stream[lengthLen+n:]
	}
	return msgs, false
}

// read all messages of a stream through frames.
func frameAll(t *testing.T, f *frames, r io.Reader) (msgs [][]byte, broken bool) {
	for {
		msg, ok, err := f.next()
		switch {
		case err != nil:
			return msgs, true
		case ok:
			msgs = append(msgs, bytes.Clone(msg))
			continue
		}
		if len(f.buf) > 2*(f.max+lengthLen)+len(f.small) {
			t.Fatalf("the buffer has %d bytes for messages of at most %d", len(f.buf), f.max)
		}
		if err := f.read(r); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatalf("reading: %v", err)
			}
			return msgs, false
		}
	}
}

func FuzzFrames(f *testing.F) {
	small, large := message(1, "small"), make([]byte, 5000)
	f.Add(frame(small, small), []byte{0}, uint16(MaxMessage))
	f.Add(frame(small, large, small), []byte{200, 3}, uint16(5000))
	f.Add(frame(large, large)[:9000], []byte{}, uint16(MaxMessage))
	f.Add(frame(small, large), []byte{255}, uint16(4999))
	f.Add([]byte{0, 11, 1}, []byte{}, uint16(512))
	f.Add(frame(make([]byte, MaxMessage), small), []byte{255, 255, 1}, uint16(MaxMessage))
	f.Fuzz(func(t *testing.T, stream, sizes []byte, max uint16) {
		if max < headerLen {
			return
		}
		var fr frames
		fr.init(int(max))
		got, gotBroken := frameAll(t, &fr, &chunked{rest: stream, sizes: sizes})
		want, wantBroken := cut(stream, int(max))
		if diff := cmp.Diff(want, got); diff != "" || gotBroken != wantBroken {
			t.Errorf("broken %v, want %v; messages (-want +got):\n%s", gotBroken, wantBroken, diff)
		}
	})
}

// Memory taken for a large message is given back behind it.
func TestFramesShrink(t *testing.T) {
	var f frames
	f.init(MaxMessage)
	if msgs, broken := frameAll(t, &f, bytes.NewReader(frame(make([]byte, MaxMessage)))); len(msgs) != 1 || broken {
		t.Fatal("the message did not come")
	}
	if len(f.buf) != len(f.small) {
		t.Errorf("the empty buffer has %d bytes", len(f.buf))
	}
}

// Memory is given for what has come, not for what is announced.
func TestFramesBelieveNoLength(t *testing.T) {
	var f frames
	f.init(MaxMessage)
	if err := f.read(bytes.NewReader([]byte{0xff, 0xff, 1, 2, 3})); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := f.next(); ok || err != nil {
		t.Fatal("a message came of five bytes")
	}
	f.makeRoom()
	if len(f.buf) > len(f.small) {
		t.Errorf("%d bytes were set aside for 5", len(f.buf))
	}
}
