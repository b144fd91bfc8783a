package control

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"onoma/dns"
)

const (
	routeExplain  = "/v1/resolver/explain"
	routeFlush    = "/v1/resolver/flush"
	routeInsecure = "/v1/resolver/insecure"
)

// ResolverDesk is what can be done about a resolver.
type ResolverDesk struct {
	// Explain answers a question and tells why; the value is sent as JSON.
	Explain func(ctx context.Context, r ExplainRequest) (any, error)
	// Flush forgets what is cached, and returns how many entries that were.
	Flush func(FlushRequest) int
	// Insecure returns the negative trust anchors in force (RFC 7646).
	Insecure func() []Insecure
	// Except sets one, or takes it away if Until is past.
	Except func(Insecure)
}

// ExplainRequest is a question to a resolver.
type ExplainRequest struct {
	Name             dns.Name
	Type             dns.Type
	CheckingDisabled bool       // not validated
	Client           netip.Addr // whose rules are heard; the zero Addr: those of a client that no rule names
}

// FlushRequest says what is to be forgotten. Without a name it is all.
type FlushRequest struct {
	Name dns.Name
	Tree bool     // all below the name, too
	Type dns.Type // only what is known of records of that type at the name; 0: of all
}

// Insecure is a name at and below which nothing is validated.
type Insecure struct {
	Name  string    `json:"name"`
	Until time.Time `json:"until,omitzero"` // the zero time: no end
}

type flushBody struct {
	Name string `json:"name,omitempty"`
	Tree bool   `json:"tree,omitempty"`
	Type string `json:"type,omitempty"`
}

// Flushed is what came of a FlushRequest.
type Flushed struct {
	Entries int `json:"entries"`
}

func (s *Server) staffResolver(d *ResolverDesk) {
	s.Route("GET "+routeExplain, d.explain)
	s.Route("POST "+routeFlush, d.flush)
	s.Route("GET "+routeInsecure, func(*http.Request) (any, error) { return d.Insecure(), nil })
	s.Route("POST "+routeInsecure, d.except)
}

func (d *ResolverDesk) explain(r *http.Request) (any, error) {
	name, err := nameOf(r.FormValue("name"))
	if err != nil {
		return nil, err
	}
	req := ExplainRequest{Name: name, Type: dns.TypeA}
	if req.Type, err = typeOf(r.FormValue("type"), dns.TypeA); err != nil {
		return nil, err
	}
	if text := r.FormValue("client"); text != "" {
		if req.Client, err = netip.ParseAddr(text); err != nil {
			return nil, badRequest(fmt.Sprintf("client %q: expected an IP address", text), "")
		}
	}
	req.CheckingDisabled, _ = strconv.ParseBool(r.FormValue("cd"))
	return d.Explain(r.Context(), req)
}

func (d *ResolverDesk) flush(r *http.Request) (any, error) {
	var in flushBody
	if err := body(r, &in); err != nil {
		return nil, err
	}
	req := FlushRequest{Tree: in.Tree}
	var err error
	if req.Type, err = typeOf(in.Type, 0); err != nil {
		return nil, err
	}
	if req.Type != 0 && (in.Tree || in.Name == "") {
		return nil, badRequest("type: expected with one name", "")
	}
	if in.Name != "" {
		if req.Name, err = nameOf(in.Name); err != nil {
			return nil, err
		}
	}
	return Flushed{d.Flush(req)}, nil
}

func (d *ResolverDesk) except(r *http.Request) (any, error) {
	var in Insecure
	if err := body(r, &in); err != nil {
		return nil, err
	}
	name, err := nameOf(in.Name)
	if err != nil {
		return nil, err
	}
	d.Except(Insecure{Name: name.String(), Until: in.Until})
	return d.Insecure(), nil
}

func nameOf(text string) (dns.Name, error) {
	name, err := dns.ParseNameIDNA(text)
	if err != nil || text == "" {
		return name, &Problem{Status: http.StatusBadRequest, Message: fmt.Sprintf("%q is not a domain name", text)}
	}
	return name, nil
}

func typeOf(text string, def dns.Type) (dns.Type, error) {
	if text == "" {
		return def, nil
	}
	t, ok := dns.ParseType(text)
	if !ok {
		return 0, &Problem{Status: http.StatusBadRequest, Message: fmt.Sprintf("%q is not a type of records", text)}
	}
	return t, nil
}

// Explain asks a resolver for an answer and its reasons, and reads them into out.
func (c *Client) Explain(ctx context.Context, r ExplainRequest, out any) error {
	args := url.Values{"name": {r.Name.String()}, "type": {r.Type.String()}}
	if r.CheckingDisabled {
		args.Set("cd", "true")
	}
	if r.Client.IsValid() {
		args.Set("client", r.Client.String())
	}
	return c.Call(ctx, http.MethodGet, routeExplain, args, nil, out)
}

// Flush has a resolver forget, and returns how many entries that were.
func (c *Client) Flush(ctx context.Context, r FlushRequest) (int, error) {
	body := flushBody{Tree: r.Tree}
	if !r.Name.IsZero() {
		body.Name = r.Name.String()
	}
	if r.Type != 0 {
		body.Type = r.Type.String()
	}
	var out Flushed
	err := c.Call(ctx, http.MethodPost, routeFlush, nil, body, &out)
	return out.Entries, err
}

// Insecure asks for the negative trust anchors of a resolver.
func (c *Client) Insecure(ctx context.Context) (list []Insecure, err error) {
	err = c.Call(ctx, http.MethodGet, routeInsecure, nil, nil, &list)
	return list, err
}

// Except sets a negative trust anchor, or takes it away if Until is past, and
// returns those that are left.
func (c *Client) Except(ctx context.Context, x Insecure) (list []Insecure, err error) {
	err = c.Call(ctx, http.MethodPost, routeInsecure, nil, x, &list)
	return list, err
}
