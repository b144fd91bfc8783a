package dns

import "testing"

func TestCSYNCAndDSYNC(t *testing.T) {
	const csync = "66 3 A NS AAAA" // the example of RFC 7477 §2.2
	r := MustRecord("example.com. 3600 IN CSYNC " + csync)
	c, err := ParseCSYNC(r.Data)
	if err != nil || c.Serial != 66 || c.Flags != CSYNCImmediate|CSYNCSOAMinimum || !c.Types.Has(TypeNS) || c.Types.Has(TypeMX) {
		t.Errorf("%+v, %v", c, err)
	}
	if got := c.RData().Text(TypeCSYNC); got != csync {
		t.Errorf("CSYNC comes back as %q, expected %q", got, csync)
	}
	const dsync = "CDS NOTIFY 5359 cds-scanner.example.net." // RFC 9859 §2.3
	r = MustRecord("*._dsync.example. 3600 IN DSYNC " + dsync)
	d, err := ParseDSYNC(r.Data)
	if err != nil || d.Type != TypeCDS || d.Scheme != DSYNCNotify || d.Port != 5359 || d.Target != MustName("cds-scanner.example.net.") {
		t.Errorf("%+v, %v", d, err)
	}
	if got := d.RData().Text(TypeDSYNC); got != dsync {
		t.Errorf("DSYNC comes back as %q, expected %q", got, dsync)
	}
	for _, short := range []RData{nil, {0, 0, 0, 1}, {0, 1, 1, 0, 53}} {
		if _, err := ParseDSYNC(short); err == nil {
			t.Errorf("DSYNC of %d octets", len(short))
		}
		if _, err := ParseCSYNC(short); err == nil {
			t.Errorf("CSYNC of %d octets", len(short))
		}
	}
}
