package dnstap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Frame Streams: a data frame is a length and as many octets; a length of 0 announces a control frame, which has a length
// of its own, a type, and fields.
const (
	controlAccept = 1
	controlStart  = 2
	controlStop   = 3
	controlReady  = 4
	controlFinish = 5

	fieldContentType = 1
	contentType      = "protobuf:dnstap.Dnstap"

	maxControl = 512
)

func appendLength(b []byte, n int) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) }

// appendControl appends a control frame; one that names what follows has the content type.
func appendControl(b []byte, kind uint32, named bool) []byte {
	be := binary.BigEndian
	b = be.AppendUint32(b, 0)
	n := 4
	if named {
		n += 8 + len(contentType)
	}
	b = be.AppendUint32(b, uint32(n))
	b = be.AppendUint32(b, kind)
	if named {
		b = be.AppendUint32(b, fieldContentType)
		b = be.AppendUint32(b, uint32(len(contentType)))
		b = append(b, contentType...)
	}
	return b
}

var errNotControl = errors.New("a data frame where a control frame is expected")

// readControl reads one control frame: its type, and whether it names our content type, or none at all, which stands for any.
func readControl(r io.Reader) (kind uint32, ours bool, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, false, err
	}
	be := binary.BigEndian
	if be.Uint32(head[:]) != 0 {
		return 0, false, errNotControl
	}
	n := be.Uint32(head[4:])
	if n < 4 || n > maxControl {
		return 0, false, fmt.Errorf("a control frame of %d octets, expected 4 to %d", n, maxControl)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, false, err
	}
	return parseControl(body)
}

func parseControl(body []byte) (kind uint32, ours bool, err error) {
	be := binary.BigEndian
	kind, body = be.Uint32(body), body[4:]
	ours = len(body) == 0
	for len(body) > 0 {
		if len(body) < 8 || uint64(be.Uint32(body[4:])) > uint64(len(body)-8) {
			return 0, false, errors.New("a field of a control frame is cut off")
		}
		field, n := be.Uint32(body), be.Uint32(body[4:])
		ours = ours || field == fieldContentType && string(body[8:8+n]) == contentType
		body = body[8+n:]
	}
	return kind, ours, nil
}

// shake opens a stream in both directions: READY, the reader's ACCEPT, START.
func shake(rw io.ReadWriter) error {
	if _, err := rw.Write(appendControl(nil, controlReady, true)); err != nil {
		return fmt.Errorf("sending READY: %w", err)
	}
	kind, ours, err := readControl(rw)
	switch {
	case err != nil:
		return fmt.Errorf("waiting for ACCEPT: %w", err)
	case kind != controlAccept:
		return fmt.Errorf("waiting for ACCEPT: control frame of type %d", kind)
	case !ours:
		return fmt.Errorf("the reader does not accept %s", contentType)
	}
	if _, err := rw.Write(appendControl(nil, controlStart, true)); err != nil {
		return fmt.Errorf("sending START: %w", err)
	}
	return nil
}

// farewell ends a stream in both directions: STOP, the reader's FINISH.
func farewell(rw io.ReadWriter) error {
	if _, err := rw.Write(appendControl(nil, controlStop, false)); err != nil {
		return err
	}
	kind, _, err := readControl(rw)
	if err == nil && kind != controlFinish {
		err = fmt.Errorf("control frame of type %d, expected FINISH", kind)
	}
	return err
}
