// Package querylog writes a line of JSON for each answer, with no more about people than is wanted: clients as they
// are, by their network, under a pseudonym or not at all; names as they are, by the domain that is registered, or not
// at all.
//
// It is an encoder for a dnstap.Output: answers go through its rings, so none waits, and what a slow disk does not take
// is dropped and counted. One goroutine encodes.
package querylog

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"golang.org/x/net/publicsuffix"

	"onoma/dns"
	"onoma/telemetry/dnstap"
)

// Clients says what is written of clients.
type Clients string

// What is written of clients.
const (
	ClientsFull    Clients = "full"
	ClientsNetwork Clients = "network"   // IPv4 /24, IPv6 /48
	ClientsHash    Clients = "pseudonym" // the same for one client, as long as the server runs
	ClientsNone    Clients = "none"
)

// Names says what is written of names.
type Names string

// What is written of names.
const (
	NamesFull   Names = "full"
	NamesDomain Names = "domain" // the part that somebody has registered, by the public suffix list
	NamesNone   Names = "none"
)

// Config says where lines go, and what is in them.
type Config struct {
	File    string
	Clients Clients
	Names   Names
	Sample  int    // one answer in so many; 0 and 1: all
	Secret  []byte // of pseudonyms
	Log     *slog.Logger
}

// New returns what writes the log once it runs. Rotate opens the file anew, so it may have been moved away.
func New(c Config) (*dnstap.Output, error) {
	switch c.Clients {
	case ClientsFull, ClientsNetwork, ClientsHash, ClientsNone:
	default:
		return nil, fmt.Errorf("%q is no way to write clients, expected full, network, pseudonym or none", c.Clients)
	}
	switch c.Names {
	case NamesFull, NamesDomain, NamesNone:
	default:
		return nil, fmt.Errorf("%q is no way to write names, expected full, domain or none", c.Names)
	}
	return dnstap.New(dnstap.Config{
		Sink: dnstap.Sink{Network: dnstap.Lines, Address: c.File}, Responses: true, Sample: c.Sample, Log: c.Log, Encoder: &encoder{Config: c},
	}), nil
}

// line is what is written of an answer. Fields are added, never renamed or removed.
type line struct {
	Time     string   `json:"time"` // of the query, UTC
	Client   string   `json:"client,omitempty"`
	Proto    string   `json:"transport"`
	Name     string   `json:"name,omitempty"`
	Type     string   `json:"type"`
	Class    string   `json:"class,omitempty"` // if it is not IN
	RCode    string   `json:"rcode"`
	IsSecure bool     `json:"secure,omitempty"` // AD
	IsCut    bool     `json:"truncated,omitempty"`
	Answers  int      `json:"answers"` // records in the answer section
	Octets   int      `json:"octets"`
	MS       float64  `json:"ms"` // until it was answered; 0: at once
	Errors   []string `json:"extended_errors,omitempty"`
}

// encoder makes lines.
type encoder struct {
	Config
}

// Frames appends the line of an answer; what cannot be read is left out.
func (e *encoder) Frames(dst []byte, ev *dnstap.Event) ([]byte, int) {
	m, err := dns.ParseMessage(ev.Answer)
	if err != nil || len(m.Questions) != 1 {
		return dst, 0
	}
	q := m.Questions[0]
	l := line{
		Time: time.Unix(0, ev.QueryTime).UTC().Format("2006-01-02T15:04:05.000Z"), Client: e.client(ev.Client.Addr()), Proto: ev.Proto.String(),
		Name: e.name(q.Name), Type: q.Type.String(), RCode: m.RCode.String(), IsSecure: m.Flags.Has(dns.FlagAD), IsCut: m.Flags.Has(dns.FlagTC),
		Answers: len(m.Answer), Octets: len(ev.Answer), MS: float64((ev.AnswerTime-ev.QueryTime)/int64(10*time.Microsecond)) / 100,
	}
	if q.Class != dns.ClassIN {
		l.Class = q.Class.String()
	}
	for _, ede := range m.EDNS.EDE() {
		l.Errors = append(l.Errors, ede.Code.String())
	}
	text, err := json.Marshal(l)
	if err != nil {
		return dst, 0
	}
	return append(append(dst, text...), '\n'), 1
}

func (e *encoder) client(a netip.Addr) string {
	a = a.Unmap()
	switch e.Clients {
	case ClientsNone:
		return ""
	case ClientsNetwork:
		bits := 24
		if a.Is6() {
			bits = 48
		}
		p, _ := a.Prefix(bits)
		return p.String()
	case ClientsHash:
		h := hmac.New(sha256.New, e.Secret)
		h.Write(a.AsSlice())
		return hex.EncodeToString(h.Sum(nil)[:8])
	}
	return a.String()
}

func (e *encoder) name(n dns.Name) string {
	text := n.String()
	switch e.Names {
	case NamesNone:
		return ""
	case NamesDomain:
		if domain, err := publicsuffix.EffectiveTLDPlusOne(n.Fold().String()[:max(0, len(text)-1)]); err == nil {
			return domain + "."
		}
		for n.NumLabels() > 1 {
			n = n.Parent()
		}
		return n.String()
	}
	return text
}
