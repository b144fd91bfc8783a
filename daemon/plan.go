package daemon

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"

	"onoma/authority"
	"onoma/authority/secondary"
	"onoma/authority/update"
	"onoma/config"
	"onoma/pipeline"
	"onoma/pipeline/gate"
	"onoma/signer"
	"onoma/transport"
)

// plan is the settings of a zone in the words of the packages that keep it. It is
// immutable. Zones that have their settings from one template as it is share one.
type plan struct {
	settings    *config.Settings
	transferTo  authority.ACL
	notify      []authority.Secondary
	primaries   []secondary.Primary
	allowNotify authority.ACL
	policy      update.Policy
	forward     *update.Forward // nil: updates are not passed on
	rules       *gate.Rules
	serial      pipeline.SerialPolicy
	history     pipeline.Retention
	signing     signer.Settings
	offline     string // the file of signed key responses; "": the KSK is here
	signers     []otherSigner
}

// planner makes plans for one configuration. Zones with the same servers share
// what belongs to these: a secondary tells primaries apart by it.
type planner struct {
	conf    *config.Config
	tls     map[*config.Remote]*tls.Config
	plans   map[*config.Settings]*plan
	servers map[string][]secondary.Primary
}

func newPlanner(conf *config.Config) *planner {
	return &planner{
		conf: conf, tls: make(map[*config.Remote]*tls.Config), plans: make(map[*config.Settings]*plan),
		servers: make(map[string][]secondary.Primary),
	}
}

// plan returns that of settings.
func (p *planner) plan(s *config.Settings) (*plan, error) {
	if done := p.plans[s]; done != nil {
		return done, nil
	}
	out := &plan{settings: s, transferTo: aclOf(s.TransferTo), allowNotify: aclOf(s.AllowNotify), rules: rulesOf(s, p.conf.Data)}
	var err error
	if out.primaries, err = p.primaries(s); err != nil {
		return nil, err
	}
	for _, r := range s.Notify {
		for _, a := range r.Address {
			out.notify = append(out.notify, authority.Secondary{Addr: r.NotifyAddress(a), Key: r.Key, From: fromOf(s.NotifyFrom, a.Addr())})
		}
	}
	if out.policy, err = policyOf(s.Update); err != nil {
		return nil, err
	}
	if s.ForwardUpdates {
		out.forward = forwardTo(out.primaries)
	}
	if out.signing, err = p.signingOf(s); err != nil {
		return nil, err
	}
	if c, ok := p.conf.FindPolicy(policyName(s)); ok && s.DNSSEC != config.PolicyOff {
		out.offline = c.OfflineKSK
	}
	if out.signers, err = p.signersOf(s); err != nil {
		return nil, err
	}
	out.serial = serialPolicies[s.Serial]
	out.history = pipeline.Retention{Age: s.History.Keep, Octets: int64(s.History.Size)}
	p.plans[s] = out
	return out, nil
}

var serialPolicies = map[config.Serial]pipeline.SerialPolicy{
	config.SerialIncrement: pipeline.SerialIncrement, config.SerialDate: pipeline.SerialDate,
	config.SerialUnixtime: pipeline.SerialUnixTime, config.SerialKeep: pipeline.SerialKeep,
}

// rulesOf returns the publish gate of a zone. What the configuration has checked
// is not checked again.
func rulesOf(s *config.Settings, dir string) *gate.Rules {
	r := &gate.Rules{Command: s.Gate.Command, Dir: dir, Timeout: s.Gate.Timeout}
	_ = r.Checks.UnmarshalText([]byte(s.Gate.Checks))
	_ = r.ZONEMD.UnmarshalText([]byte(s.ZONEMD))
	_ = r.DNSSEC.UnmarshalText([]byte(s.Gate.Signatures))
	if s.Gate.RemoveMost > 0 {
		r.RemoveNames = gate.Limit{Share: float64(s.Gate.RemoveMost) / 100, Free: freeNames}
	}
	return r
}

// freeNames may always go: a fifth of a zone of three names is not one.
const freeNames = 5

// policyOf reads the rules of a zone for UPDATE.
func policyOf(rules []config.Rule) (update.Policy, error) {
	var policy update.Policy
	for _, r := range rules {
		rule, err := update.ParseRule(r.Text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.At, err)
		}
		policy = append(policy, rule)
	}
	return policy, nil
}

// forwardTo passes updates on to primaries, which decide about them.
func forwardTo(primaries []secondary.Primary) *update.Forward {
	f := &update.Forward{Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}}
	for _, p := range primaries {
		if p.Proto == transport.QUIC {
			continue // RFC 9250 says nothing of UPDATE
		}
		to := update.Primary{Addr: p.Addr, Proto: p.Proto}
		if p.TLS != nil {
			to.Client = &transport.Client{TLS: p.TLS}
		}
		f.Primaries = append(f.Primaries, to)
	}
	return f
}

// primaries returns the servers that a zone comes from.
func (p *planner) primaries(s *config.Settings) (out []secondary.Primary, err error) {
	for _, r := range s.Primaries {
		c, err := p.tlsOf(r)
		if err != nil {
			return nil, err
		}
		for _, a := range r.Address {
			out = append(out, secondary.Primary{
				Addr: a, Proto: protoOf(r.Transport), Key: r.Key, TLS: c, NoIXFR: !s.IXFR, From: fromOf(s.TransferFrom, a.Addr()),
			})
		}
	}
	return p.share(out), nil
}

// share returns an equal list that was made before, if there is one: a hundred
// thousand zones tend to have the same few primaries.
func (p *planner) share(list []secondary.Primary) []secondary.Primary {
	if len(list) == 0 {
		return nil
	}
	key := fmt.Sprint(list)
	if had := p.servers[key]; slices.Equal(had, list) {
		return had
	}
	p.servers[key] = list
	return list
}

func protoOf(t config.Transport) transport.Proto {
	switch t {
	case config.TransportTLS:
		return transport.TLS
	case config.TransportQUIC:
		return transport.QUIC
	}
	return transport.TCP
}

// fromOf returns the address to send from to another of the same family.
func fromOf(addrs []netip.Addr, to netip.Addr) netip.Addr {
	for _, a := range addrs {
		if a.Is4() == to.Unmap().Is4() {
			return a
		}
	}
	return netip.Addr{}
}

// aclOf returns a list of clients.
func aclOf(list config.Access) authority.ACL {
	if list == nil {
		return nil // not said, which is everybody for a view; an empty list is nobody
	}
	acl := make(authority.ACL, len(list))
	for i, w := range list {
		acl[i] = authority.Who{Prefix: w.Prefix, Key: w.Key, TLS: w.TLS}
	}
	return acl
}

// spec returns what the pipeline is to know of a zone.
func (e *entry) spec() pipeline.ZoneSpec {
	return pipeline.ZoneSpec{ID: e.id, Serial: e.plan.serial, History: e.plan.history, Gate: e.plan.rules}
}
