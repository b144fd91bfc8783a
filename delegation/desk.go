package delegation

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// Proven is what a validator makes of a question.
type Proven struct {
	Secure bool         // the answer, or that there is none, is proven from a trust anchor
	Answer []dns.Record // the records of the type that was asked for
	Why    string       // it is not secure
}

// Options are a Desk's surroundings.
type Options struct {
	// Submit hands changes to the pipeline and waits.
	Submit func(context.Context, ...zone.Change) ([]zone.Receipt, error)
	// Zone returns what the parent serves, nil where it is not served now.
	Zone func(zone.ID) *zone.Version
	// Resolve asks a resolver, for addresses of name servers that the parent's zone
	// does not know. nil: such servers have none.
	Resolve func(context.Context, dns.Question) (*dns.Message, error)
	// Validate asks a validating resolver for RFC 9615's signals. nil: there are none.
	Validate func(context.Context, dns.Name, dns.Type) (Proven, error)
	// Dial opens connections to children's servers, always by TCP and to port 53. nil: a
	// net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Allowed says which addresses may be asked; nil: all that are unicast. Children
	// write glue, and may write addresses of machines that are none of their business.
	Allowed func(netip.Addr) bool
	// IPv4Only leaves IPv6 addresses out where a server has others, for a machine that
	// has no way to them.
	IPv4Only bool
	// Load and Save keep what is pending of a parent over restarts; nil: nothing is kept.
	Load func(context.Context, zone.ID) ([]byte, error)
	Save func(context.Context, zone.ID, []byte) error

	Parallel int              // looks at once: 32
	Queue    int              // looks that wait, NOTIFYs are refused behind: 10,000
	Timeout  time.Duration    // for one server: 10 s
	Clock    func() time.Time // nil: time.Now
	Log      *slog.Logger     // nil: nothing is logged
}

// Desk keeps the delegations of its parents.
type Desk struct {
	o Options
}

// New returns a Desk without parents.
func New(o Options) *Desk { return &Desk{o: o} }
