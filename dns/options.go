package dns

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrBadOption is an EDNS option whose data does not have the form that its
// RFC gives it. A server answers it with FORMERR where that RFC says so.
var ErrBadOption = errors.New("malformed EDNS option")

// ClientSubnet is the ECS option (RFC 7871 §6).
type ClientSubnet struct {
	Source netip.Prefix // the client's network, host bits zero
	Scope  uint8        // prefix length that the answer holds for; 0 in queries
}

// ECS reads the option as a client subnet.
func (o Option) ECS() (ClientSubnet, error) {
	if len(o.Data) < 4 {
		return ClientSubnet{}, ErrBadOption
	}
	family, source, scope := binary.BigEndian.Uint16(o.Data), int(o.Data[2]), o.Data[3]
	var raw [16]byte
	size := 0
	switch family {
	case 1:
		size = 4
	case 2:
		size = 16
	default:
		return ClientSubnet{}, ErrBadOption
	}
	// RFC 7871 §6: as many octets as the prefix covers, no more.
	if source > size*8 || int(scope) > size*8 || len(o.Data)-4 != (source+7)/8 {
		return ClientSubnet{}, ErrBadOption
	}
	copy(raw[:], o.Data[4:])
	addr, _ := netip.AddrFromSlice(raw[:size])
	p := netip.PrefixFrom(addr, source)
	if p.Masked() != p {
		return ClientSubnet{}, ErrBadOption // bits beyond the prefix must be zero
	}
	return ClientSubnet{p, scope}, nil
}

// Option returns the client subnet as an EDNS option.
func (c ClientSubnet) Option() Option {
	family := byte(1)
	if c.Source.Addr().Is6() {
		family = 2
	}
	raw := c.Source.Masked().Addr().AsSlice()
	data := append([]byte{0, family, byte(c.Source.Bits()), c.Scope}, raw[:(c.Source.Bits()+7)/8]...)
	return Option{OptionECS, data}
}

// Cookie is the COOKIE option (RFC 7873 §4): the client's 8 octets, and the
// server's 8 to 32, or none.
type Cookie struct{ Client, Server []byte }

// Cookie reads the option as a cookie. RFC 7873 §5.2.2: another length is FORMERR.
func (o Option) Cookie() (Cookie, error) {
	n := len(o.Data)
	if n != 8 && (n < 16 || n > 40) {
		return Cookie{}, ErrBadOption
	}
	return Cookie{o.Data[:8], o.Data[8:]}, nil
}

// EDE reads the option as an extended error (RFC 8914 §2).
func (o Option) EDE() (EDE, error) {
	if len(o.Data) < 2 {
		return EDE{}, ErrBadOption
	}
	// RFC 8914 §2: a final NUL may be there and is no part of the text.
	text := strings.TrimSuffix(string(o.Data[2:]), "\x00")
	return EDE{EDECode(binary.BigEndian.Uint16(o.Data)), text}, nil
}

// Expire reads the option as the seconds until a zone expires (RFC 7314 §3.1);
// ok is false for the empty form that a query has.
func (o Option) Expire() (seconds uint32, ok bool, err error) {
	switch len(o.Data) {
	case 0:
		return 0, false, nil
	case 4:
		return binary.BigEndian.Uint32(o.Data), true, nil
	}
	return 0, false, ErrBadOption
}

// Keepalive reads the option as an idle time-out in units of 100 ms (RFC 7828
// §3.1); ok is false for the empty form that a query has.
func (o Option) Keepalive() (tenths uint16, ok bool, err error) {
	switch len(o.Data) {
	case 0:
		return 0, false, nil
	case 2:
		return binary.BigEndian.Uint16(o.Data), true, nil
	}
	return 0, false, ErrBadOption
}

// KeyTags reads the option as key tags (RFC 8145 §4.1).
func (o Option) KeyTags() ([]uint16, error) {
	if len(o.Data) == 0 || len(o.Data)%2 != 0 {
		return nil, ErrBadOption
	}
	tags := make([]uint16, 0, len(o.Data)/2)
	for i := 0; i < len(o.Data); i += 2 {
		tags = append(tags, binary.BigEndian.Uint16(o.Data[i:]))
	}
	return tags, nil
}

// Types reads the option as record types (MQTYPE, draft-ietf-dnssd-multi-qtypes).
func (o Option) Types() ([]Type, error) {
	tags, err := o.KeyTags()
	types := make([]Type, len(tags))
	for i, v := range tags {
		types[i] = Type(v)
	}
	return types, err
}

// Name reads the option as a name: the agent domain of REPORT-CHANNEL (RFC 9567
// §6.1), or the closest trust point of CHAIN (RFC 7901 §4).
func (o Option) Name() (Name, error) {
	n, err := NameFromWire(o.Data)
	if err != nil {
		return Name{}, fmt.Errorf("%w: %w", ErrBadOption, err)
	}
	return n, nil
}

// ZoneVersion is the ZONEVERSION option of a response (RFC 9660 §2.2).
type ZoneVersion struct {
	Labels  uint8  // labels of the zone's name, counted from the root
	Type    uint8  // 0: the SOA serial
	Version []byte // for type 0 the serial's four octets
}

// ZoneVersion reads the option; ok is false for the empty form of a query.
func (o Option) ZoneVersion() (v ZoneVersion, ok bool, err error) {
	switch {
	case len(o.Data) == 0:
		return ZoneVersion{}, false, nil
	case len(o.Data) < 2 || o.Data[1] == 0 && len(o.Data) != 6:
		return ZoneVersion{}, false, ErrBadOption
	}
	return ZoneVersion{o.Data[0], o.Data[1], o.Data[2:]}, true, nil
}

// UpdateLease reads the option as a lease in seconds, and one for KEY records
// where the longer form gives it (RFC 9664 §4).
func (o Option) UpdateLease() (lease, keyLease uint32, err error) {
	switch len(o.Data) {
	case 4:
		return binary.BigEndian.Uint32(o.Data), 0, nil
	case 8:
		return binary.BigEndian.Uint32(o.Data), binary.BigEndian.Uint32(o.Data[4:]), nil
	}
	return 0, 0, ErrBadOption
}

// LLQ is the long-lived query option (RFC 8764 §3.2).
type LLQ struct {
	Version, Opcode, Error uint16
	ID                     uint64
	Lease                  uint32 // seconds
}

// LLQ reads the option as a long-lived query.
func (o Option) LLQ() (LLQ, error) {
	if len(o.Data) != 18 {
		return LLQ{}, ErrBadOption
	}
	be := binary.BigEndian
	return LLQ{be.Uint16(o.Data), be.Uint16(o.Data[2:]), be.Uint16(o.Data[4:]),
		be.Uint64(o.Data[6:]), be.Uint32(o.Data[14:])}, nil
}

// Check reports whether the data has the form that the option's RFC gives it.
// Unknown options and those of free form are always well.
func (o Option) Check() error {
	var err error
	switch o.Code {
	case OptionECS:
		_, err = o.ECS()
	case OptionCookie:
		_, err = o.Cookie()
	case OptionEDE:
		_, err = o.EDE()
	case OptionExpire:
		_, _, err = o.Expire()
	case OptionKeepalive:
		_, _, err = o.Keepalive()
	case OptionKeyTag, OptionMQTypeQuery, OptionMQTypeReply:
		_, err = o.KeyTags()
	case OptionReportChannel, OptionChain:
		_, err = o.Name()
	case OptionZoneVersion:
		_, _, err = o.ZoneVersion()
	case OptionUpdateLease:
		_, _, err = o.UpdateLease()
	case OptionLLQ:
		_, err = o.LLQ()
	case OptionClientTag, OptionServerTag:
		if len(o.Data) != 2 {
			err = ErrBadOption
		}
	}
	return err
}

// Value shows the option's data for a person; malformed data as hex.
func (o Option) Value() string {
	if o.Check() != nil {
		return hex.EncodeToString(o.Data) + " (malformed)"
	}
	switch o.Code {
	case OptionNSID:
		return hex.EncodeToString(o.Data) + " (" + printable(o.Data) + ")"
	case OptionECS:
		c, _ := o.ECS()
		return c.Source.String() + "/" + strconv.Itoa(int(c.Scope))
	case OptionEDE:
		e, _ := o.EDE()
		return e.String()
	case OptionExpire:
		if v, ok, _ := o.Expire(); ok {
			return strconv.Itoa(int(v)) + " s"
		}
	case OptionKeepalive:
		if v, ok, _ := o.Keepalive(); ok {
			return strconv.FormatFloat(float64(v)/10, 'f', 1, 64) + " s"
		}
	case OptionDAU, OptionDHU, OptionN3U:
		return fmt.Sprint([]byte(o.Data))
	case OptionKeyTag:
		tags, _ := o.KeyTags()
		return fmt.Sprint(tags)
	case OptionMQTypeQuery, OptionMQTypeReply:
		types, _ := o.Types()
		return fmt.Sprint(types)
	case OptionReportChannel, OptionChain:
		n, _ := o.Name()
		return n.String()
	case OptionPadding:
		return strconv.Itoa(len(o.Data)) + " octets"
	case OptionZoneVersion:
		return o.zoneVersionText()
	case OptionUpdateLease:
		lease, _, _ := o.UpdateLease()
		return strconv.Itoa(int(lease)) + " s"
	case OptionLLQ:
		l, _ := o.LLQ()
		return fmt.Sprintf("version %d, opcode %d, error %d, id %d, lease %d s", l.Version, l.Opcode, l.Error, l.ID, l.Lease)
	}
	return hex.EncodeToString(o.Data)
}

func (o Option) zoneVersionText() string {
	v, ok, _ := o.ZoneVersion()
	switch {
	case !ok:
		return ""
	case v.Type == 0:
		return fmt.Sprintf("SOA-SERIAL %d, %d labels", binary.BigEndian.Uint32(v.Version), v.Labels)
	}
	return fmt.Sprintf("type %d, %d labels, %x", v.Type, v.Labels, v.Version)
}

// printable returns b with what is no printable character as a dot: options
// come from strangers and end on terminals.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			return '.'
		}
		return r
	}, string(b))
}
