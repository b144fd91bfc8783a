package control

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// KeysView is how the signing of a zone stands.
type KeysView struct {
	Zone      string    `json:"zone"`
	View      string    `json:"view,omitempty"`
	Policy    string    `json:"policy"`
	State     string    `json:"state"` // "signed", "unsigned", "by its authors" and so on, in words
	Denial    string    `json:"denial,omitempty"`
	Keys      []Key     `json:"keys"`
	DS        []string  `json:"ds,omitempty"`      // that the parent should have, as in a zone file
	CDNSKEY   []string  `json:"cdnskey,omitempty"` // likewise, for registrars who ask for the key
	Parent    *AtParent `json:"parent,omitempty"`
	Waits     []KeyWait `json:"waits,omitempty"`    // what is waited for
	Timeline  []KeyStep `json:"timeline,omitempty"` // what is to come
	Alarms    []string  `json:"alarms,omitempty"`
	Expires   time.Time `json:"expires,omitzero"`    // the first signature
	Next      time.Time `json:"next,omitzero"`       // when signatures are made anew
	Signed    uint64    `json:"signatures_made"`     // since the start of the server
	Served    time.Time `json:"keys_since,omitzero"` // since when all servers have these keys; absent: not all
	Whole     time.Time `json:"signed_since,omitzero"`
	Now       time.Time `json:"now"`
	IsPassive bool      `json:"by_its_authors,omitempty"`
}

// Key is a key of a zone.
type Key struct {
	ID        string      `json:"id"`
	Tag       uint16      `json:"tag"`
	Algorithm string      `json:"algorithm"`
	Bits      int         `json:"bits,omitempty"`
	Role      string      `json:"role"`
	Phase     string      `json:"phase"`   // of RFC 7583
	Records   []KeyRecord `json:"records"` // the four that a key has
	Standby   bool        `json:"standby,omitempty"`
	Lost      bool        `json:"lost,omitempty"`
	Provider  string      `json:"provider,omitempty"` // whose it is, if it is not ours
	Created   time.Time   `json:"created,omitzero"`
	Active    time.Time   `json:"active,omitzero"`
	Retired   time.Time   `json:"retired,omitzero"`
	Removed   time.Time   `json:"removed,omitzero"`
}

// Phases are the values of Key.Phase, in the order in which a key has them.
var Phases = []string{"generated", "published", "ready", "active", "retired", "dead", "removed"}

// KeyRecord is how far one of a key's records is known to the caches of the world.
type KeyRecord struct {
	Record string    `json:"record"` // "DNSKEY", "ZRRSIG", "KRRSIG" or "DS"
	State  string    `json:"state"`  // "hidden", "rumoured", "omnipresent" or "unretentive"
	Since  time.Time `json:"since,omitzero"`
}

// AtParent is what the servers of a zone's parent have.
type AtParent struct {
	Name      string         `json:"name,omitempty"`
	Condition string         `json:"condition"`
	Servers   []ParentServer `json:"servers,omitempty"`
	Told      []string       `json:"told,omitempty"`     // who was told, in words
	Findings  []string       `json:"findings,omitempty"` // with what to do
	Error     string         `json:"error,omitempty"`
	Next      time.Time      `json:"next,omitzero"`
}

// ParentServer is one of them.
type ParentServer struct {
	Address string    `json:"address"`
	Name    string    `json:"name,omitempty"`
	DS      []string  `json:"ds"`
	Seen    time.Time `json:"seen,omitzero"`
	Error   string    `json:"error,omitempty"`
}

// KeyWait is something that is waited for.
type KeyWait struct {
	Key   string    `json:"key,omitempty"`
	Text  string    `json:"text"`
	Until time.Time `json:"until,omitzero"` // absent: it depends on others
	Alarm bool      `json:"alarm,omitempty"`
}

// KeyStep is something that is to happen.
type KeyStep struct {
	At   time.Time `json:"at"`
	Key  string    `json:"key,omitempty"`
	Tag  uint16    `json:"tag,omitempty"`
	What string    `json:"what"`
	Text string    `json:"text"`
	Why  []string  `json:"why,omitempty"` // what was waited for until then, at the first step of that time
}

// KeyRequest asks for something to be done with the keys of a zone.
type KeyRequest struct {
	// Do is "roll", "retire", "restore", "ds-seen", "ds-gone", "import", "export", "add-foreign", "remove-foreign",
	// "seen-elsewhere", "look" (at the parent) or "child" (look at a child of the zone).
	Do        string   `json:"do"`
	Role      string   `json:"role,omitempty"` // of roll: "ksk", "zsk" or "csk"; "": all that there are
	Emergency bool     `json:"emergency,omitempty"`
	Key       string   `json:"key,omitempty"` // its id, or its tag
	Provider  string   `json:"provider,omitempty"`
	DNSKEY    string   `json:"dnskey,omitempty"` // rdata of another provider's key
	Files     []string `json:"files,omitempty"`  // on the server's machine, of import
	NoDS      bool     `json:"no_ds,omitempty"`  // of import: the parent has no DS of it
	Format    string   `json:"format,omitempty"` // of export: "pem", "private" or "key"
	Child     string   `json:"child,omitempty"`
	Approve   bool     `json:"approve,omitempty"` // what a child's CSYNC leaves to a person
}

const routeAcceptClock = "/v1/clock/accept"

const noSigner = "does not sign zones"

// staffKeys adds the routes of zones that are signed.
func (s *Server) staffKeys(d *ZoneDesk) {
	s.Route("GET "+routeZone+"/keys", func(r *http.Request) (any, error) {
		id, err := zoneOf(r)
		if err != nil {
			return nil, err
		}
		days, err := number(r, "days", 0, 0, 3650)
		if err != nil {
			return nil, err
		}
		if d.Keys == nil {
			return nil, cannot(noSigner)
		}
		return d.Keys(r.Context(), id, time.Duration(days)*24*time.Hour)
	})
	s.Route("POST "+routeZone+"/keys", func(r *http.Request) (any, error) {
		id, err := zoneOf(r)
		if err != nil {
			return nil, err
		}
		var req KeyRequest
		if err := body(r, &req); err != nil {
			return nil, err
		}
		if d.DoKeys == nil {
			return nil, cannot(noSigner)
		}
		text, err := d.DoKeys(r.Context(), id, req)
		return Done{Zone: id.String(), Result: text}, err
	})
	s.Route("POST "+routeAcceptClock, func(*http.Request) (any, error) {
		if d.AcceptClock == nil {
			return nil, cannot(noSigner)
		}
		return Done{Result: d.AcceptClock()}, nil
	})
}

// Keys asks how the signing of the zone stands, and what is to come for so many days.
func (z *ZoneClient) Keys(ctx context.Context, days int) (v KeysView, err error) {
	err = z.get(ctx, "/keys", &v, "days", strconv.Itoa(days))
	return v, err
}

// DoKeys asks for something to be done with the keys of the zone.
func (z *ZoneClient) DoKeys(ctx context.Context, r KeyRequest) (d Done, err error) {
	err = z.post(ctx, "/keys", r, &d)
	return d, err
}

// AcceptClock says that the clock of the server's machine is right.
func (c *Client) AcceptClock(ctx context.Context) (d Done, err error) {
	err = c.Call(ctx, http.MethodPost, routeAcceptClock, nil, nil, &d)
	return d, err
}
