package policy

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"onoma/dns"
)

// Blocks are block lists ready for use.
type Blocks struct {
	names    names // the values are places in rules, from 1
	lists    []string
	rules    [][]blockRule
	how      Blocking
	ede      dns.EDECode
	count    int
	skipped  int
	problems Problems
}

// blockRule is what one line says about a name. The kinds of rules are few; names share their lists.
type blockRule struct {
	allow     bool
	important bool
	others    bool // it is for all types but these
	types     []dns.Type
	list      uint16 // the first list that has it
}

// rank orders rules: an important one before all others, among equals the one that allows.
func (r *blockRule) rank() int {
	rank := 1
	if r.important {
		rank += 2
	}
	if r.allow {
		rank++
	}
	return rank
}

func (r *blockRule) isFor(t dns.Type) bool {
	return len(r.types) == 0 || slices.Contains(r.types, t) != r.others
}

// equal says whether two rules say the same, whichever list they are from.
func (r *blockRule) equal(o *blockRule) bool {
	return r.allow == o.allow && r.important == o.important && r.others == o.others && slices.Equal(r.types, o.types)
}

// appendKey appends octets that are the same for equal rules of one list only.
func (r *blockRule) appendKey(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, r.list)
	dst = append(dst, byte(r.rank()), byte(len(r.types)))
	if r.others {
		dst[len(dst)-1] |= 0x80
	}
	for _, t := range r.types {
		dst = binary.BigEndian.AppendUint16(dst, uint16(t))
	}
	return dst
}

// Blocking is how a blocked question is answered.
type Blocking uint8

const (
	BlockNXDomain Blocking = iota // the name does not exist
	BlockNull                     // 0.0.0.0 and ::, no data of other types
	BlockNoData                   // no data
	BlockRefuse                   // REFUSED
)

// BlockOptions say how lists are to be taken.
type BlockOptions struct {
	Blocking   Blocking
	EDE        dns.EDECode // that goes with what is blocked; 0: Blocked
	Subdomains bool        // a line that is only a name is for the names below it, too
}

// BlockBuilder compiles lists. It belongs to one goroutine.
type BlockBuilder struct {
	blocks     *Blocks
	subdomains bool
	known      map[string]uint32
	buf        [256]byte
	key        []byte
	list       []blockRule
}

// NewBlocks begins a set of block lists.
func NewBlocks(o BlockOptions) *BlockBuilder {
	return &BlockBuilder{
		blocks: &Blocks{names: newNames(), how: o.Blocking, ede: o.EDE}, subdomains: o.Subdomains, known: map[string]uint32{},
	}
}

const (
	maxRulesPerName = 16
	maxRuleLists    = 1 << 16 // different combinations of rules, of which each list has a dozen
	maxLists        = 1 << 12
)

// put adds a rule for a name, for the names below it, or for both.
func (b *BlockBuilder) put(name dns.Name, exact, below bool, r blockRule) error {
	r.list = uint16(len(b.blocks.lists) - 1)
	folded := append(b.buf[:0], name.Wire()...)
	dns.FoldName(folded)
	values, err := b.blocks.names.add(folded)
	if err != nil {
		return err
	}
	for i, wanted := range [...]bool{exact, below} {
		if !wanted {
			continue
		}
		at := values[4*i : 4*i+4]
		with, err := b.with(binary.LittleEndian.Uint32(at), r)
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint32(at, with)
	}
	b.blocks.count++
	return nil
}

// with returns the value of the rules that old stands for and r.
func (b *BlockBuilder) with(old uint32, r blockRule) (uint32, error) {
	list := b.list[:0]
	if old > 0 {
		list = append(list, b.blocks.rules[old-1]...)
	}
	if slices.ContainsFunc(list, func(o blockRule) bool { return o.equal(&r) }) {
		return old, nil
	}
	if len(list) == maxRulesPerName {
		return 0, lineError{fmt.Sprintf("more than %d different rules for one name", maxRulesPerName)}
	}
	list = append(list, r)
	b.list = list
	key := b.key[:0]
	for i := range list {
		key = list[i].appendKey(key)
	}
	b.key = key
	if value, ok := b.known[string(key)]; ok {
		return value, nil
	}
	if len(b.blocks.rules) == maxRuleLists {
		return 0, lineError{"too many different combinations of $dnstype"}
	}
	b.blocks.rules = append(b.blocks.rules, slices.Clone(list))
	value := uint32(len(b.blocks.rules))
	b.known[string(key)] = value
	return value, nil
}

// Compile ends the lists. The builder is of no use afterwards.
func (b *BlockBuilder) Compile() *Blocks {
	out := b.blocks
	out.names.compile()
	b.blocks, b.known = nil, nil
	return out
}

// Len returns how many rules there are; what several lists have counts several times.
func (b *Blocks) Len() int {
	if b == nil {
		return 0
	}
	return b.count
}

// Skipped returns how many lines were about other things than names, such as what to hide on a page.
func (b *Blocks) Skipped() int { return b.skipped }

// Problems returns what was left out, and why.
func (b *Blocks) Problems() Problems { return b.problems }

// Size returns the memory that the lists take, in octets.
func (b *Blocks) Size() int { return b.names.size() }

// Ask says what the lists have about a name and a type: Passthru where an exception allows it, the action of the lists where it is
// blocked, else None. name is in wire form, in any case. It does not allocate. A nil Blocks blocks nothing.
func (b *Blocks) Ask(name []byte, t dns.Type) Action {
	if b == nil || b.names.count == 0 {
		return None
	}
	var buf [256]byte
	folded := dns.AppendFolded(buf[:0], name)
	best := b.best(folded, t)
	switch {
	case best == nil:
		return None
	case best.allow:
		return Passthru
	}
	return [...]Action{BlockNXDomain: NXDomain, BlockNull: Data, BlockNoData: NoData, BlockRefuse: Refuse}[b.how]
}

// best returns the rule of the highest rank for a name; unlike in a policy zone a rule for the name itself does not hide
// an exception or an important rule for a name above it.
func (b *Blocks) best(name []byte, t dns.Type) (best *blockRule) {
	labels := dns.CountLabels(name)
	for depth := labels; ; depth-- {
		value, below, _ := b.names.at(name, depth)
		if depth < labels {
			value = below
		}
		if value > 0 {
			for i := range b.rules[value-1] {
				if r := &b.rules[value-1][i]; r.isFor(t) && (best == nil || r.rank() > best.rank()) {
					best = r
				}
			}
		}
		if depth == 0 {
			return best
		}
		name = name[1+int(name[0]):]
	}
}

// List returns the list that says what [Blocks.Ask] says, the first one where there are several; "" where none does.
func (b *Blocks) List(name dns.Name, t dns.Type) string {
	if b == nil || b.names.count == 0 {
		return ""
	}
	if best := b.best([]byte(name.Fold().Wire()), t); best != nil {
		return b.lists[best.list]
	}
	return ""
}

// Reply returns the answer to a blocked question.
func (b *Blocks) Reply(a Action, name dns.Name, t dns.Type) Reply {
	reply := Reply{Action: a}
	switch a {
	case NXDomain:
		reply.RCode = dns.RCodeNXDomain
	case Refuse:
		reply.RCode = dns.RCodeRefused
	case Data:
		reply.Answer = nullAddress(name, t)
	}
	return reply
}

// nullAddress answers with the address that leads nowhere.
func nullAddress(name dns.Name, t dns.Type) []dns.Record {
	for _, a := range [...]netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		if at, data := dns.NewAddr(a); at == t || t == dns.TypeANY {
			return []dns.Record{{Name: name, Type: at, Class: dns.ClassIN, TTL: defaultTTL, Data: data}}
		}
	}
	return nil
}
