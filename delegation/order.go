package delegation

import (
	"context"

	"onoma/dns"
	"onoma/zone"
)

// Delegation is what a parent has of a child.
type Delegation struct {
	Child dns.Name
	NS    []dns.Record
	DS    []dns.Record
	Glue  []dns.Record // A and AAAA of the name servers at or below the child
}

// Order is what is to change of one delegation. What is nil stays as it is.
type Order struct {
	Parent zone.ID
	Was    Delegation // as it was looked at; where it is another one by now, the order is void
	DS     *[]dns.Record
	NS     *[]dns.Record
	Glue   *[]dns.Record
	Why    string // in one sentence, for the history
}

// Keeper makes the change of an order. It returns ErrMoved, or an error that wraps it,
// where the delegation is not as it was any more.
type Keeper func(context.Context, Order) (zone.Receipt, error)
