package dnstap

import (
	"net/netip"

	"google.golang.org/protobuf/encoding/protowire"

	"onoma/transport"
)

// Role says from whose point of view messages are told.
type Role uint8

const (
	Authority Role = iota // AUTH_QUERY, AUTH_RESPONSE
	Resolver              // CLIENT_QUERY, CLIENT_RESPONSE
)

// Field and enumeration numbers of dnstap.proto.
const (
	dnstapIdentity = 1
	dnstapVersion  = 2
	dnstapMessage  = 14
	dnstapType     = 15
	typeMessage    = 1

	msgType         = 1
	msgFamily       = 2
	msgProtocol     = 3
	msgClient       = 4 // query_address
	msgServer       = 5 // response_address
	msgClientPort   = 6
	msgServerPort   = 7
	msgQueryTime    = 8
	msgQueryNanos   = 9
	msgQuery        = 10
	msgResponseTime = 12
	msgResponseNano = 13
	msgResponse     = 14

	authQuery      = 1
	authResponse   = 2
	clientQuery    = 5
	clientResponse = 6

	familyINET  = 1
	familyINET6 = 2
)

// protocols are dnstap's SocketProtocol by transport.Proto.
var protocols = [...]uint64{transport.UDP: 1, transport.TCP: 2, transport.TLS: 3, transport.QUIC: 7, transport.HTTPS: 4}

// encoder turns events into dnstap messages. It reuses its memory.
type encoder struct {
	head []byte // identity and version, encoded
	msg  []byte
}

func newEncoder(identity, version string) *encoder {
	e := new(encoder)
	if identity != "" {
		e.head = protowire.AppendTag(e.head, dnstapIdentity, protowire.BytesType)
		e.head = protowire.AppendString(e.head, identity)
	}
	if version != "" {
		e.head = protowire.AppendTag(e.head, dnstapVersion, protowire.BytesType)
		e.head = protowire.AppendString(e.head, version)
	}
	return e
}

// Frames appends one data frame for each message of ev to dst, and returns how many.
func (e *encoder) Frames(dst []byte, ev *Event) ([]byte, int) {
	query, response := uint64(authQuery), uint64(authResponse)
	if ev.Role == Resolver {
		query, response = clientQuery, clientResponse
	}
	n := 0
	if len(ev.Query) > 0 {
		e.common(query, ev)
		e.msg = field(e.msg, msgQuery, ev.Query)
		dst = e.frame(dst)
		n++
	}
	if len(ev.Answer) > 0 {
		e.common(response, ev)
		if ev.AnswerTime != 0 {
			e.msg = timestamp(e.msg, msgResponseTime, msgResponseNano, ev.AnswerTime)
		}
		e.msg = field(e.msg, msgResponse, ev.Answer)
		dst = e.frame(dst)
		n++
	}
	return dst, n
}

// common begins a message with what queries and responses have in common.
func (e *encoder) common(kind uint64, ev *Event) {
	m := number(e.msg[:0], msgType, kind)
	family := uint64(familyINET)
	if ev.Client.Addr().Is6() {
		family = familyINET6
	}
	m = number(m, msgFamily, family)
	if int(ev.Proto) < len(protocols) {
		m = number(m, msgProtocol, protocols[ev.Proto])
	}
	m = address(m, msgClient, ev.Client.Addr())
	m = address(m, msgServer, ev.Local.Addr())
	m = number(m, msgClientPort, uint64(ev.Client.Port()))
	m = number(m, msgServerPort, uint64(ev.Local.Port()))
	if ev.QueryTime != 0 {
		m = timestamp(m, msgQueryTime, msgQueryNanos, ev.QueryTime)
	}
	e.msg = m
}

// frame appends the message as a data frame.
func (e *encoder) frame(dst []byte) []byte {
	n := len(e.head) + protowire.SizeTag(dnstapMessage) + protowire.SizeBytes(len(e.msg)) + protowire.SizeTag(dnstapType) + 1
	dst = appendLength(dst, n)
	dst = append(dst, e.head...)
	dst = field(dst, dnstapMessage, e.msg)
	return number(dst, dnstapType, typeMessage)
}

func number(b []byte, n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
}

func field(b []byte, n protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
}

func address(b []byte, n protowire.Number, a netip.Addr) []byte {
	if a.Is4() {
		v := a.As4()
		return field(b, n, v[:])
	}
	v := a.As16()
	return field(b, n, v[:])
}

// timestamp appends Unix nanoseconds as seconds and a fixed32 of nanoseconds.
func timestamp(b []byte, seconds, nanos protowire.Number, t int64) []byte {
	b = number(b, seconds, uint64(t/1e9))
	return protowire.AppendFixed32(protowire.AppendTag(b, nanos, protowire.Fixed32Type), uint32(t%1e9))
}
