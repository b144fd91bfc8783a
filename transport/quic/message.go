package quic

import (
	"encoding/binary"

	"onoma/dns"
)

// The error codes of RFC 9250 §4.3, for streams and for connections.
const (
	codeNoError          = 0x0 // DOQ_NO_ERROR
	codeInternal         = 0x1 // DOQ_INTERNAL_ERROR
	codeProtocol         = 0x2 // DOQ_PROTOCOL_ERROR
	codeRequestCancelled = 0x3 // DOQ_REQUEST_CANCELLED
	codeExcessiveLoad    = 0x4 // DOQ_EXCESSIVE_LOAD
)

// lengthLen is the size of the length field in front of each message (RFC 9250 §4.2).
const lengthLen = 2

// queryError is what is wrong with a stream. It ends the connection with DOQ_PROTOCOL_ERROR (RFC 9250 §4.3.3).
type queryError string

func (e queryError) Error() string { return string(e) }

const (
	errIncomplete = queryError("the stream ended before the query was complete")
	errTrailing   = queryError("more than one query on a stream")
	errShort      = queryError("a query shorter than a header")
	errResponse   = queryError("a response in place of a query")
	errID         = queryError("a message ID other than 0")
	errKeepalive  = queryError("edns-tcp-keepalive over QUIC")
)

// parseQuery returns the query on a stream that has ended. It checks what the transport is answerable for; a query that is
// malformed otherwise is the Handler's.
func parseQuery(stream []byte) (msg []byte, err error) {
	if len(stream) < lengthLen {
		return nil, errIncomplete
	}
	n := int(binary.BigEndian.Uint16(stream))
	msg = stream[lengthLen:]
	switch {
	case n > len(msg):
		return nil, errIncomplete
	case n < len(msg):
		return nil, errTrailing
	case n < dns.HeaderLen:
		return nil, errShort
	case msg[2]&0x80 != 0:
		return nil, errResponse
	case msg[0]|msg[1] != 0: // RFC 9250 §4.2.1
		return nil, errID
	case hasKeepalive(msg): // RFC 9250 §5.5.2
		return nil, errKeepalive
	}
	return msg, nil
}

func hasKeepalive(msg []byte) bool {
	var q dns.Query
	if q.Parse(msg) != nil {
		return false
	}
	for opts := q.Opts; len(opts) > 0; {
		var code dns.OptionCode
		if code, _, opts = dns.NextOption(opts); code == dns.OptionKeepalive {
			return true
		}
	}
	return false
}

// replayable reports that a query may be answered although its packet could be a replayed one: QUERY and NOTIFY
// (RFC 9250 §4.5).
func replayable(msg []byte) bool {
	const query, notify = 0, 4
	opcode := msg[2] >> 3 & 0xF
	return opcode == query || opcode == notify
}
