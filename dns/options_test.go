package dns

import (
	"errors"
	"net/netip"
	"testing"
)

func TestOptionValues(t *testing.T) {
	tests := []struct {
		code OptionCode
		data string
		want string
	}{
		{OptionNSID, "ns1\x01", "6e733101 (ns1.)"},
		{OptionECS, "\x00\x01\x18\x00\xc0\x00\x02", "192.0.2.0/24/0"},
		{OptionECS, "\x00\x02\x20\x30\x20\x01\x0d\xb8", "2001:db8::/32/48"},
		{OptionECS, "\x00\x01\x00\x00", "0.0.0.0/0/0"},
		{OptionECS, "\x00\x01\x17\x00\xc0\x00\x03", "00011700c00003 (malformed)"}, // a bit beyond the prefix
		{OptionECS, "\x00\x01\x21\x00\xc0\x00\x02\x01\x00", "00012100c000020100 (malformed)"},
		{OptionCookie, "12345678", "3132333435363738"},
		{OptionEDE, "\x00\x16no server answered\x00", "22 (No Reachable Authority): no server answered"},
		{OptionEDE, "\x00", "00 (malformed)"},
		{OptionExpire, "\x00\x00\x0e\x10", "3600 s"},
		{OptionKeepalive, "\x00\x64", "10.0 s"},
		{OptionKeyTag, "\x4f\x66\x97\x28", "[20326 38696]"},
		{OptionReportChannel, "\x03rep\x07example\x00", "rep.example."},
		{OptionZoneVersion, "\x02\x00\x00\x00\x00\x07", "SOA-SERIAL 7, 2 labels"},
		{OptionMQTypeQuery, "\x00\x01\x00\x1c", "[A AAAA]"},
		{OptionPadding, "\x00\x00\x00", "3 octets"},
		{OptionUpdateLease, "\x00\x00\x00\x3c", "60 s"},
		{OptionDAU, "\x08\x0d", "[8 13]"},
		{OptionCode(65001), "\x01\x02", "0102"},
	}
	for _, tt := range tests {
		if got := (Option{tt.code, []byte(tt.data)}).Value(); got != tt.want {
			t.Errorf("%v %x: %q, want %q", tt.code, tt.data, got, tt.want)
		}
	}
}

func TestOptionCheckRejects(t *testing.T) {
	for code, bad := range map[OptionCode][]string{
		OptionECS:           {"", "\x00\x01\x18", "\x00\x03\x18\x00\x01\x02\x03", "\x00\x01\x18\x00\xc0\x00\x02\x00"},
		OptionCookie:        {"", "1234567", "123456789", "123456781234567", "12345678" + "123456781234567812345678123456789"},
		OptionEDE:           {"", "\x00"},
		OptionExpire:        {"\x00", "\x00\x00\x00\x00\x00"},
		OptionKeepalive:     {"\x00", "\x00\x00\x00"},
		OptionKeyTag:        {"", "\x00"},
		OptionReportChannel: {"", "\x03ab", "\x00\x00"},
		OptionChain:         {"\xc0\x0c"},
		OptionZoneVersion:   {"\x01", "\x01\x00\x00"},
		OptionUpdateLease:   {"", "\x00\x00"},
		OptionLLQ:           {"", "short"},
		OptionClientTag:     {"", "\x00\x00\x00"},
	} {
		for _, data := range bad {
			if err := (Option{code, []byte(data)}).Check(); !errors.Is(err, ErrBadOption) {
				t.Errorf("%v %x: %v, want %v", code, data, err, ErrBadOption)
			}
		}
	}
}

func TestClientSubnetRoundTrip(t *testing.T) {
	for _, s := range []string{"192.0.2.0/24", "10.0.0.0/9", "2001:db8::/33", "::/0", "192.0.2.1/32"} {
		want := ClientSubnet{netip.MustParsePrefix(s), 0}
		got, err := want.Option().ECS()
		if err != nil || got != want {
			t.Errorf("%s: %v %v", s, got, err)
		}
	}
}

func FuzzOption(f *testing.F) {
	f.Add(uint16(OptionECS), []byte("\x00\x01\x18\x00\xc0\x00\x02"))
	f.Add(uint16(OptionLLQ), make([]byte, 18))
	f.Fuzz(func(t *testing.T, code uint16, data []byte) {
		o := Option{OptionCode(code), data}
		for _, r := range o.Value() {
			if r < ' ' {
				t.Fatalf("option %d shows the control character %#x", code, r)
			}
		}
	})
}
