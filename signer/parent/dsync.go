package parent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"onoma/dns"
)

// receiver is whom the parent has named to be told.
type receiver struct {
	target dns.Name
	port   uint16
	status Status
}

const (
	schemeNotify  = 1 // RFC 9859 §2.3
	mostReceivers = 8
)

// discover finds whom to tell of a type of child's (RFC 9859 §4.1): the record for this child, which may come of a wildcard,
// where there is none the one for the whole parent. Where child is more than one label below its parent, the negative
// answer's SOA tells so, and the _dsync label is put where the parent's name begins.
func discover(ctx context.Context, resolve resolver, child dns.Name, t dns.Type) ([]receiver, error) {
	name, err := dsyncName(child, child.Parent())
	if err != nil {
		return nil, err
	}
	m, err := resolve(ctx, dns.Question{Name: name, Type: dns.TypeDSYNC, Class: dns.ClassIN})
	if err != nil {
		return nil, err
	}
	if rs := receiversIn(m, t); len(rs) > 0 || hasDSYNC(m) {
		return rs, none(rs, t, name)
	}
	apex, ok := soaOwner(m)
	if !ok || !isAbove(apex, child) {
		return nil, fmt.Errorf("the answer for %s DSYNC is neither a record nor the parent's denial", name)
	}
	if !apex.Equal(child.Parent()) {
		if name, err = dsyncName(child, apex); err != nil {
			return nil, err
		}
		if m, err = resolve(ctx, dns.Question{Name: name, Type: dns.TypeDSYNC, Class: dns.ClassIN}); err != nil {
			return nil, err
		}
		if rs := receiversIn(m, t); len(rs) > 0 || hasDSYNC(m) {
			return rs, none(rs, t, name)
		}
	}
	if name, err = apex.Child("_dsync"); err != nil {
		return nil, err
	}
	if m, err = resolve(ctx, dns.Question{Name: name, Type: dns.TypeDSYNC, Class: dns.ClassIN}); err != nil {
		return nil, err
	}
	rs := receiversIn(m, t)
	return rs, none(rs, t, name)
}

// none says that nobody was found.
func none(rs []receiver, t dns.Type, name dns.Name) error {
	if len(rs) > 0 {
		return nil
	}
	return fmt.Errorf("the parent names nobody who takes NOTIFY(%s): there is no such DSYNC record at %s", t, name)
}

// dsyncName puts _dsync between the labels of child that are not of its parent, and the parent.
func dsyncName(child, parent dns.Name) (dns.Name, error) {
	base, err := parent.Child("_dsync")
	if err != nil {
		return dns.Name{}, errors.New("the name of the parent is too long for DSYNC")
	}
	name, err := child.Rebase(parent, base)
	if err != nil {
		return dns.Name{}, errors.New("the name of the zone is too long for DSYNC")
	}
	return name, nil
}

func hasDSYNC(m *dns.Message) bool {
	for _, r := range m.Answer {
		if r.Type == dns.TypeDSYNC {
			return true
		}
	}
	return false
}

// receiversIn returns those that an answer names for a type. Other schemes are for others.
func receiversIn(m *dns.Message, t dns.Type) []receiver {
	var out []receiver
	for _, r := range m.Answer {
		if r.Type != dns.TypeDSYNC || dns.CheckRData(r.Type, r.Data) != nil || len(out) == mostReceivers {
			continue
		}
		x := receiver{target: r.Data.Target(r.Type), port: binary.BigEndian.Uint16(r.Data[3:])}
		if dns.Type(binary.BigEndian.Uint16(r.Data)) != t || r.Data[2] != schemeNotify || x.port == 0 || x.target.IsRoot() {
			continue
		}
		if m.Flags.Has(dns.FlagAD) {
			x.status = Proven
		}
		out = append(out, x)
	}
	return out
}

func soaOwner(m *dns.Message) (dns.Name, bool) {
	for _, r := range m.Authority {
		if r.Type == dns.TypeSOA {
			return r.Name, true
		}
	}
	return dns.Name{}, false
}
