package transport

import (
	"encoding/binary"
	"fmt"
	"io"
)

// lengthLen is the size of the length field before each message on a stream (RFC 1035 §4.2.2, RFC 7766 §8).
const lengthLen = 2

// frames cuts a byte stream into messages. Its memory follows what has come in, not what a length field announces, so a
// client that announces 64 KiB has to send them before they are set aside.
type frames struct {
	small [2048]byte
	buf   []byte // small, or larger while a larger message comes in
	r, w  int    // unread bytes
	max   int    // longest message allowed
}

func (f *frames) init(max int) { f.buf, f.max = f.small[:], max }

// next returns the next message, if all of it is here. It stays valid until the next read. An error means that the stream
// makes no sense from here on.
func (f *frames) next() (msg []byte, ok bool, err error) {
	have := f.buf[f.r:f.w]
	if len(have) < lengthLen {
		return nil, false, nil
	}
	n := int(binary.BigEndian.Uint16(have))
	if n < headerLen || n > f.max {
		return nil, false, fmt.Errorf("a message of %d bytes is announced, %d to %d are possible", n, headerLen, f.max)
	}
	if len(have) < lengthLen+n {
		return nil, false, nil
	}
	f.r += lengthLen + n
	return have[lengthLen : lengthLen+n : lengthLen+n], true, nil
}

// empty reports that no part of a message is waiting for its rest.
func (f *frames) empty() bool { return f.r == f.w }

// read reads once, after next has found nothing more.
func (f *frames) read(r io.Reader) error {
	f.makeRoom()
	n, err := r.Read(f.buf[f.w:])
	f.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// makeRoom moves what is unread to the front, and doubles the buffer when that fills it. Doubling stops by itself: next has
// found the message incomplete and no longer than max.
func (f *frames) makeRoom() {
	have := f.buf[f.r:f.w]
	switch {
	case len(have) <= len(f.small)/2:
		f.buf = f.small[:]
	case len(have) == len(f.buf):
		f.buf = make([]byte, 2*len(f.buf))
	}
	if f.r > 0 || len(have) == 0 || &f.buf[0] != &have[0] {
		copy(f.buf, have)
	}
	f.r, f.w = 0, len(have)
}
