package resolver

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/resolver/iterator"
	"onoma/transport"
)

// ClientSubnet says which servers are told the networks of clients (ECS, RFC 7871),
// so that they can answer with what is near them. It costs privacy, room in the
// cache, and queries: the zero value tells nobody.
//
// Clients with addresses that the Internet does not route are never told of, nor
// are those that ask for that with an option of length 0 (§7.1.2).
type ClientSubnet struct {
	Zones []dns.Name // whose servers, and those of zones below, are told; the root is all

	// How much of an address is told at most, in bits.
	IPv4, IPv6 int // 0: 24 and 56

	// FromClients takes the networks that clients name in options of their own in the
	// place of their addresses: those of forwarders, that ask for others.
	FromClients bool
}

const (
	// firstScopedGroup and those behind it are of answers for one network: as many as
	// there are networks of one question.
	firstScopedGroup = cache.Group(1<<16 - mostScopes)
	// mostScopes is for how many networks the answers to one question are kept.
	mostScopes = 64
	// mostScopedQuestions is of how many questions they are.
	mostScopedQuestions = 8192
)

// subnets are the networks of clients, and which of them the cache has answers for.
// Those answers are in the cache of messages, in groups of their own: nobody else
// finds them there. A nil subnets tells nobody.
type subnets struct {
	ClientSubnet
	private []netip.Prefix

	mu     sync.RWMutex // held while a scoped answer is put or got: its group may change hands
	scopes map[string]*scopes
}

// scopes are whom there are answers for to one name and type; the one at i has group
// firstScopedGroup+i.
type scopes struct {
	list []scope
	next int // to give way
}

type scope struct {
	group  cache.Group // by whose rules
	net    netip.Prefix
	expire uint32
}

func newSubnets(c ClientSubnet) *subnets {
	if len(c.Zones) == 0 {
		return nil
	}
	orDefault(&c.IPv4, 24)
	orDefault(&c.IPv6, 56)
	return &subnets{ClientSubnet: c, private: PrivateNetworks(), scopes: map[string]*scopes{}}
}

// told returns the option of a query, if it has one. RFC 7871 §7.2.1: a malformed
// one, or one with a scope, is an error.
func told(q *dns.Query) (c dns.ClientSubnet, ok bool, err error) {
	for rest := q.Opts; len(rest) > 0; {
		var code dns.OptionCode
		var data []byte
		if code, data, rest = dns.NextOption(rest); code != dns.OptionECS {
			continue
		}
		c, err = dns.Option{Code: code, Data: data}.ECS()
		if err == nil && c.Scope != 0 {
			err = dns.ErrBadOption
		}
		return c, true, err
	}
	return c, false, nil
}

// of returns what servers are told of who sent q; the zero Prefix is nothing.
func (s *subnets) of(q *dns.Query, client netip.Addr) (netip.Prefix, error) {
	addr := client.Unmap()
	most := 128
	c, ok, err := told(q)
	switch {
	case ok && err != nil && s.FromClients:
		return netip.Prefix{}, err
	case ok && err == nil && c.Source.Bits() == 0:
		return netip.Prefix{}, nil
	case ok && s.FromClients:
		addr, most = c.Source.Addr(), c.Source.Bits()
	}
	if !addr.IsGlobalUnicast() || slices.ContainsFunc(s.private, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return netip.Prefix{}, nil // RFC 7871 §11.1
	}
	limit := s.IPv6
	if addr.Is4() {
		limit = s.IPv4
	}
	return netip.PrefixFrom(addr, min(most, limit)).Masked(), nil
}

// appendEcho appends the option of the answer to q, which is for scope, where the
// client's own was heard (RFC 7871 §7.2.2).
func (s *subnets) appendEcho(options []byte, q *dns.Query, scope netip.Prefix) []byte {
	if s == nil {
		return options
	}
	c, ok, err := told(q)
	if !ok || err != nil || !s.FromClients && c.Source.Bits() > 0 {
		return options
	}
	c.Scope = uint8(max(scope.Bits(), 0))
	data := c.Option().Data
	options = binary.BigEndian.AppendUint16(options, uint16(dns.OptionECS))
	options = binary.BigEndian.AppendUint16(options, uint16(len(data)))
	return append(options, data...)
}

// covers reports whether an answer for sc is for a client of whose network net is told.
func (sc *scope) covers(net netip.Prefix) bool {
	if !net.IsValid() || sc.net == iterator.Untold {
		return !net.IsValid() && sc.net == iterator.Untold // RFC 7871 §7.3.1
	}
	return sc.net.Bits() <= net.Bits() && sc.net.Contains(net.Addr())
}

// jobID returns what tells look-ups apart that are made at the same time.
func (b *bearing) jobID(key []byte) string {
	if !b.subnet.IsValid() {
		return string(key)
	}
	return string(key) + b.subnet.String()
}

// found notes whom an answer is for.
func (a *asking) found(answer *iterator.Answer) {
	if a.scope != nil && answer.Scope.Bits() > a.scope.Bits() {
		*a.scope = answer.Scope
	}
}

// split takes a key of the cache of messages apart: the question, the group, where it stands.
func split(key []byte) (question string, group cache.Group, at []byte) {
	at = key[len(key)-3 : len(key)-1]
	return string(key[:len(key)-3]), cache.Group(binary.BigEndian.Uint16(at)), at
}

// scoped answers the query from what the cache has for the client's network.
func (w *worker) scoped(dst []byte, tq *transport.Query, key []byte) ([]byte, bool) {
	s := w.r.subnets
	if w.whose.client.IsValid() {
		return dst, false
	}
	var buf [maxKey]byte
	own := append(buf[:0], key...)
	question, group, at := split(own)
	s.mu.RLock()
	defer s.mu.RUnlock()
	known := s.scopes[question]
	if known == nil {
		return dst, false
	}
	best, now := -1, w.r.now()
	for i := range known.list {
		sc := &known.list[i]
		if sc.group == group && sc.expire > now && sc.covers(w.whose.subnet) && (best < 0 || sc.net.Bits() > known.list[best].net.Bits()) {
			best = i
		}
	}
	if best < 0 {
		return dst, false
	}
	binary.BigEndian.PutUint16(at, uint16(firstScopedGroup)+uint16(best))
	w.scope = known.list[best].net
	defer func() { w.scope = netip.Prefix{} }()
	return w.cached(dst, tq.Msg, tq.Proto, own)
}

// keepScoped keeps the answer of a job for the clients that it is for.
func (r *Resolver) keepScoped(j *job, variants uint8, out outcome) {
	s := r.subnets
	key := j.keyOf(0)
	question, group, at := split(key)
	now := r.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.scopes[question]
	if known == nil {
		s.makeRoom()
		known = &scopes{}
		s.scopes[question] = known
	}
	sc := scope{group, out.scope, now + min(out.answer.TTL, dns.MaxTTL)}
	i := known.place(sc, now)
	isNew := known.list[i].group != sc.group || known.list[i].net != sc.net
	known.list[i] = sc
	binary.BigEndian.PutUint16(at, uint16(firstScopedGroup)+uint16(i))
	for v := range cache.Variant(cache.NumVariants) {
		key[len(key)-1] = byte(v)
		switch {
		case variants&(1<<v) != 0:
			r.keep(j.question, key, out)
		case isNew:
			r.messages.Drop(key) // another network's
		}
	}
}

// makeRoom forgets of some question whom there are answers for.
func (s *subnets) makeRoom() {
	for question := range s.scopes {
		if len(s.scopes) < mostScopedQuestions {
			return
		}
		delete(s.scopes, question)
	}
}

// place returns where a scope goes: where it is, where one is over, or where it is
// another one's turn to give way.
func (k *scopes) place(sc scope, now uint32) int {
	over := -1
	for i := range k.list {
		if old := &k.list[i]; old.group == sc.group && old.net == sc.net {
			return i
		} else if old.expire <= now {
			over = i
		}
	}
	switch {
	case over >= 0:
		return over
	case len(k.list) < mostScopes:
		k.list = append(k.list, scope{})
		return len(k.list) - 1
	}
	k.next = (k.next + 1) % mostScopes
	return k.next
}
