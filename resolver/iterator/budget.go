package iterator

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"onoma/dns"
	"onoma/resolver/validator"
)

// Cost is the work that a look-up caused.
type Cost struct {
	Queries   int // packets sent upstream
	Bytes     int // octets received
	Aliases   int // CNAMEs and DNAMEs followed
	NSLookups int // look-ups of addresses of name servers
	Checks    int // signatures checked
	Rounds    int // rounds of SHA-1 for NSEC3
}

// Budget is the one budget of a client's question. Every look-up made on the
// question's behalf draws from the same one, those of validation among them;
// nothing ever gives back to it.
type Budget struct {
	Proof validator.Work // what is left for validation, which takes it itself

	limits  *Limits
	ends    time.Time
	queries atomic.Int32
	bytes   atomic.Int32
	aliases atomic.Int32
	lookups atomic.Int32
	rounds  atomic.Int32 // of SHA-1, for NSEC3 records of the cache

	mu    sync.Mutex
	mutes map[netip.Addr]int // time-outs of servers, whatever zone they were asked for
}

// NewBudget returns the budget of a question whose look-up begins now.
func (it *Iterator) NewBudget() *Budget {
	l := &it.Limits
	return &Budget{limits: l, ends: it.Env.Now().Add(l.Time), Proof: l.proof()}
}

func (l *Limits) proof() validator.Work {
	return validator.Work{Signatures: l.Signatures, Rounds: l.Rounds - l.rounds(), Questions: l.ProofQuestions}
}

// rounds is how many rounds may go into looking names up among known NSEC3
// records; the others are for validation.
func (l *Limits) rounds() int { return l.Rounds / 8 }

// Cost is what was spent so far.
func (b *Budget) Cost() Cost {
	all := b.limits.proof()
	return Cost{
		Queries: int(b.queries.Load()), Bytes: int(b.bytes.Load()), Aliases: int(b.aliases.Load()), NSLookups: int(b.lookups.Load()),
		Checks: min(all.Signatures-b.Proof.Signatures, all.Signatures), Rounds: min(all.Rounds-b.Proof.Rounds, all.Rounds) + int(b.rounds.Load()),
	}
}

func (b *Budget) takeQuery() error {
	if int(b.queries.Load()) >= b.limits.Queries {
		return exhausted("%d upstream queries", b.limits.Queries)
	}
	b.queries.Add(1)
	// Octets are known only after they came: what they exceed, the next packet pays.
	if int(b.bytes.Load()) >= b.limits.Bytes {
		return exhausted("%d octets from upstream", b.limits.Bytes)
	}
	return nil
}

// maxMute is how often a server may keep silent for one client's question. Many
// zones may be said to have the same one.
const maxMute = 6

// mute notes a time-out of a server; it reports whether that was the last one.
func (b *Budget) mute(a netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mutes == nil {
		b.mutes = map[netip.Addr]int{}
	}
	b.mutes[a]++
	return b.mutes[a] >= maxMute
}

// isMute reports whether a server has kept silent too often.
func (b *Budget) isMute(a netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mutes[a] >= maxMute
}

func (b *Budget) addBytes(n int) { b.bytes.Add(int32(n)) }

func (b *Budget) takeAlias() error {
	if int(b.aliases.Add(1)) > b.limits.Aliases {
		return exhausted("%d aliases followed", b.limits.Aliases)
	}
	return nil
}

func (b *Budget) takeLookup() error {
	if int(b.lookups.Load()) >= b.limits.NSLookups {
		return exhausted("%d look-ups of name server addresses", b.limits.NSLookups)
	}
	b.lookups.Add(1)
	return nil
}

// takeRounds pays for hashing names to look them up among known NSEC3 records.
func (b *Budget) takeRounds(n int) bool {
	if int(b.rounds.Load())+n > b.limits.rounds() {
		return false
	}
	b.rounds.Add(int32(n))
	return true
}

// Failure is a look-up that came to nothing: SERVFAIL to a client, with the
// extended errors that say why.
type Failure struct {
	EDE    []dns.EDE
	Budget bool // the budget or the time of this question ran out: another question may fare better
	Cached bool // known from an earlier look-up

	silent  bool // no server of the zone gave any reply
	crowded bool // nobody was asked, as too many wait for that zone's servers
}

// Error returns the texts of the extended errors.
func (f *Failure) Error() string {
	texts := make([]string, len(f.EDE))
	for i, e := range f.EDE {
		texts[i] = e.Text
		if e.Text == "" {
			texts[i] = e.Code.String()
		}
	}
	return strings.Join(texts, "; ")
}

func failure(code dns.EDECode, format string, args ...any) *Failure {
	return &Failure{EDE: []dns.EDE{{Code: code, Text: fmt.Sprintf(format, args...)}}}
}

func exhausted(format string, args ...any) *Failure {
	f := failure(dns.EDEOther, "work budget used up: "+format, args...)
	f.Budget = true
	return f
}
