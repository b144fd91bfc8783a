package signer

import (
	"cmp"
	"slices"
	"time"

	"onoma/signer/keys"
	"onoma/zone"
)

// Counts sums up the zones of a Keeper.
type Counts struct {
	Signed, Unsigned, ByAuthors  int            // zones
	Alarming, Withdrawn, Rolling int            // of them
	Keys                         map[string]int // by phase, each of which is there
	Signatures                   uint64         // made since the start
	First                        time.Time      // to expire, of all signatures; zero: there is none
	Off                          time.Duration  // how far the system's clock is from the one that is believed
	Now                          time.Time
	Worst                        []Trouble // the withdrawn ones first
}

// Trouble is a zone that somebody should look at, and the first reason for it.
type Trouble struct {
	Zone      zone.ID
	Withdrawn bool
	Text      string
}

// Counts walks through all zones. At most so many of those in trouble are named. elsewhere says what others have found wrong with
// a zone, "" where all is well; it may be nil.
func (k *Keeper) Counts(most int, elsewhere func(zone.ID) string) Counts {
	c := Counts{Keys: make(map[string]int, len(keys.Phases)), Signatures: k.signatures.Load()}
	for _, p := range keys.Phases {
		c.Keys[p] = 0
	}
	c.Now, c.Off = k.o.Clock.Now()
	k.mu.Lock()
	zones := make([]*Zone, 0, len(k.zones))
	for _, z := range k.zones {
		zones = append(zones, z)
	}
	k.mu.Unlock()
	for _, z := range zones {
		text := ""
		if elsewhere != nil {
			text = elsewhere(z.id)
		}
		z.count(&c, text)
	}
	slices.SortFunc(c.Worst, func(a, b Trouble) int {
		if a.Withdrawn != b.Withdrawn {
			return map[bool]int{true: -1, false: 1}[a.Withdrawn]
		}
		return cmp.Or(a.Zone.Name.Compare(b.Zone.Name), cmp.Compare(a.Zone.View, b.Zone.View))
	})
	if len(c.Worst) > most {
		c.Worst = slices.Clone(c.Worst[:most])
	}
	return c
}

// count adds a zone, of which somebody has found what text says.
func (z *Zone) count(c *Counts, text string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	switch {
	case z.isPassive:
		c.ByAuthors++
		return
	case z.wanted.Denial.Kind != keys.NoDenial, z.plan == nil && !z.st.First.IsZero():
		c.Signed++
	default:
		c.Unsigned++
	}
	if z.st.Ring.Count(c.Keys) {
		c.Rolling++
	}
	if !z.st.First.IsZero() && (c.First.IsZero() || z.st.First.Before(c.First)) {
		c.First = z.st.First
	}
	t := z.trouble(text)
	if t.Withdrawn {
		c.Withdrawn++
	}
	if t.Text != "" {
		c.Alarming++
		c.Worst = append(c.Worst, t)
	}
}

// trouble says what is wrong with z, or text if that is nothing. The caller holds z.mu.
func (z *Zone) trouble(text string) Trouble {
	if ring := z.st.Ring.FirstAlarm(); ring != "" {
		text = ring
	}
	for _, a := range z.alarms {
		if text = a.text; a.what == expiryAlarm {
			break // why it is withdrawn
		}
	}
	return Trouble{Zone: z.id, Withdrawn: z.isWithdrawn, Text: text}
}

// Trouble says what is wrong with a zone; the Text is empty where nothing is.
func (k *Keeper) Trouble(id zone.ID) Trouble {
	z := k.Zone(id)
	if z == nil {
		return Trouble{Zone: id}
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.isPassive {
		return Trouble{Zone: id}
	}
	return z.trouble("")
}
