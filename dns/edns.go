package dns

import (
	"encoding/binary"
	"fmt"
)

// The flags of an OPT record's TTL field.
const (
	ednsDO = 1 << 15 // DNSSEC answer OK (RFC 3225)
	ednsCO = 1 << 14 // compact answers OK (RFC 9824 §5.1)

	// EDNSFlagDO is DO in the flags argument of Builder.OPT.
	EDNSFlagDO uint16 = ednsDO
	// EDNSFlagCO is CO in the flags argument of Builder.OPT.
	EDNSFlagCO uint16 = ednsCO
)

// EDNS is what an OPT record says (RFC 6891 §6.1), the response code aside.
type EDNS struct {
	UDPSize uint16 // greatest UDP payload that the sender can take
	Version uint8
	DO      bool // DNSSEC records wanted
	CO      bool // compact denial of existence understood
	Options []Option
}

// Option returns the first option with the code.
func (e *EDNS) Option(c OptionCode) (Option, bool) {
	if e != nil {
		for _, o := range e.Options {
			if o.Code == c {
				return o, true
			}
		}
	}
	return Option{}, false
}

// EDE returns the extended errors that the message carries (RFC 8914).
func (e *EDNS) EDE() []EDE {
	var all []EDE
	if e != nil {
		for _, o := range e.Options {
			if x, err := o.EDE(); o.Code == OptionEDE && err == nil {
				all = append(all, x)
			}
		}
	}
	return all
}

func (e *EDNS) flags() uint16 {
	var f uint16
	if e.DO {
		f |= EDNSFlagDO
	}
	if e.CO {
		f |= EDNSFlagCO
	}
	return f
}

func (e *EDNS) appendOptions(dst []byte) []byte {
	for _, o := range e.Options {
		dst = AppendOption(dst, o.Code, o.Data)
	}
	return dst
}

func ednsFromOPT(r Record) (*EDNS, error) {
	if !validOptions(r.Data) {
		return nil, ErrBadOPT
	}
	e := &EDNS{
		UDPSize: uint16(r.Class), Version: uint8(r.TTL >> 16),
		DO: r.TTL&ednsDO != 0, CO: r.TTL&ednsCO != 0,
	}
	for rest := []byte(r.Data); len(rest) > 0; {
		var o Option
		o.Code, o.Data, rest = NextOption(rest)
		e.Options = append(e.Options, o)
	}
	return e, nil
}

// Option is one EDNS option. Its data is kept as it came, known code or not.
type Option struct {
	Code OptionCode
	Data []byte
}

// AppendOption appends an option in wire form to dst.
func AppendOption(dst []byte, c OptionCode, data []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(c))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(data)))
	return append(dst, data...)
}

// NextOption returns the first of the options in wire form, which must have
// been checked, as Query.Opts are, and must not be empty; and what follows it.
func NextOption(opts []byte) (c OptionCode, data, rest []byte) {
	end := 4 + int(binary.BigEndian.Uint16(opts[2:]))
	return OptionCode(binary.BigEndian.Uint16(opts)), opts[4:end:end], opts[end:]
}

// validOptions reports whether the options' lengths add up.
func validOptions(b []byte) bool {
	for len(b) >= 4 {
		n := 4 + int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	return len(b) == 0
}

// OptionCode says what an EDNS option is (IANA, DNS EDNS0 Option Codes).
type OptionCode uint16

// The registered options.
const (
	OptionLLQ           OptionCode = 1
	OptionUpdateLease   OptionCode = 2
	OptionNSID          OptionCode = 3
	OptionDAU           OptionCode = 5
	OptionDHU           OptionCode = 6
	OptionN3U           OptionCode = 7
	OptionECS           OptionCode = 8
	OptionExpire        OptionCode = 9
	OptionCookie        OptionCode = 10
	OptionKeepalive     OptionCode = 11
	OptionPadding       OptionCode = 12
	OptionChain         OptionCode = 13
	OptionKeyTag        OptionCode = 14
	OptionEDE           OptionCode = 15
	OptionClientTag     OptionCode = 16
	OptionServerTag     OptionCode = 17
	OptionReportChannel OptionCode = 18
	OptionZoneVersion   OptionCode = 19
	OptionMQTypeQuery   OptionCode = 20
	OptionMQTypeReply   OptionCode = 21
	OptionUmbrella      OptionCode = 20292
	OptionDeviceID      OptionCode = 26946
)

var optionNames = map[OptionCode]string{
	OptionLLQ: "LLQ", OptionUpdateLease: "UPDATE-LEASE", OptionNSID: "NSID",
	OptionDAU: "DAU", OptionDHU: "DHU", OptionN3U: "N3U", OptionECS: "ECS",
	OptionExpire: "EXPIRE", OptionCookie: "COOKIE", OptionKeepalive: "KEEPALIVE",
	OptionPadding: "PADDING", OptionChain: "CHAIN", OptionKeyTag: "KEY-TAG",
	OptionEDE: "EDE", OptionClientTag: "CLIENT-TAG", OptionServerTag: "SERVER-TAG",
	OptionReportChannel: "REPORT-CHANNEL", OptionZoneVersion: "ZONEVERSION",
	OptionMQTypeQuery: "MQTYPE-QUERY", OptionMQTypeReply: "MQTYPE-RESPONSE",
	OptionUmbrella: "UMBRELLA-IDENT", OptionDeviceID: "DEVICEID",
}

// String returns the registered name, or OPT and the number.
func (c OptionCode) String() string {
	if s, ok := optionNames[c]; ok {
		return s
	}
	return fmt.Sprintf("OPT%d", uint16(c))
}
