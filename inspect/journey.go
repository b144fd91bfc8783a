package inspect

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"onoma/dns"
)

// Journey is a name's way from a root server to its answer, hop by hop.
type Journey struct {
	Question dns.Question
	Hops     []Hop
	RCode    dns.RCode
	Answer   []dns.Record
	EDE      []dns.EDE // what the resolver has to say of a failure
	Elapsed  time.Duration
}

// Role is the part that a server plays in a journey.
type Role string

// The roles of servers.
const (
	RoleRoot          Role = "root"
	RoleTLD           Role = "tld"
	RoleAuthoritative Role = "authoritative"
)

// Outcome is what a server's reply meant for the journey.
type Outcome string

// The outcomes of a hop.
const (
	OutcomeReferral Outcome = "referral" // "ask those"
	OutcomeAnswer   Outcome = "answer"
	OutcomeAlias    Outcome = "alias" // a CNAME or DNAME: go on with another name
	OutcomeNoData   Outcome = "nodata"
	OutcomeNXDomain Outcome = "nxdomain"
	OutcomeError    Outcome = "error" // no reply, or none that helps
)

// Hop is one question to one server, and its reply.
type Hop struct {
	Role    Role
	Zone    dns.Name // the zone that the server was asked for
	Server  dns.Name // the server's name; zero where only its address is known
	Address netip.AddrPort
	Proto   string // "udp" or "tcp"
	Asked   dns.Question
	Outcome Outcome
	Error   string // for OutcomeError: what went wrong
	RCode   dns.RCode
	Records []dns.Record // what the reply is about: the NS set, the answer, the alias
	Keeps   []Keep       // what a resolver would cache of it
	RTT     time.Duration
	// Side is the name whose address this hop looked for, where it served to
	// find a name server rather than the question itself; else zero.
	Side dns.Name
}

// Keep is something that a resolver would cache, and for how long.
type Keep struct {
	What string // "guru. NS", "www.thedns.guru. does not exist"
	For  time.Duration
}

// RoleOf returns the part that a server of the zone plays.
func RoleOf(zone dns.Name) Role {
	switch zone.NumLabels() {
	case 0:
		return RoleRoot
	case 1:
		return RoleTLD
	}
	return RoleAuthoritative
}

// Said tells the hop's reply in one sentence.
func (h Hop) Said() string {
	switch h.Outcome {
	case OutcomeReferral:
		if len(h.Records) == 0 {
			return "referral"
		}
		return fmt.Sprintf("%s is served by %s", h.Records[0].Name, listData(h.Records, 3))
	case OutcomeAlias:
		if len(h.Records) == 0 {
			return "alias"
		}
		return fmt.Sprintf("%s is an alias of %s", h.Records[0].Name, listData(h.Records[:1], 1))
	case OutcomeAnswer:
		if len(h.Records) == 0 {
			return "an answer without records"
		}
		return answered(h.Asked, h.Records)
	case OutcomeNoData:
		return fmt.Sprintf("%s exists, but has no %s", h.Asked.Name, h.Asked.Type)
	case OutcomeNXDomain:
		return fmt.Sprintf("%s does not exist", h.Asked.Name)
	}
	return printable(h.Error)
}

// printable replaces what could steer a terminal: errors may quote a stranger.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '.'
		}
		return r
	}, s)
}

// answered tells of an answer that may begin with aliases.
func answered(q dns.Question, rs []dns.Record) string {
	first := rs[0]
	i := slices.IndexFunc(rs, func(r dns.Record) bool { return r.Type == q.Type })
	if i <= 0 {
		return fmt.Sprintf("%s %s is %s", first.Name, first.Type, listData(rs, 4))
	}
	return fmt.Sprintf("%s is an alias of %s, whose %s is %s", first.Name, rs[i].Name, q.Type, listData(rs[i:], 4))
}

// listData joins the data of at most most records of the first one's type.
func listData(rs []dns.Record, most int) string {
	var parts []string
	total := 0
	for _, r := range rs {
		if r.Type != rs[0].Type || !r.Name.Equal(rs[0].Name) {
			continue
		}
		if total++; len(parts) < most {
			parts = append(parts, string(dns.AppendRDataText(nil, r.Type, r.Data)))
		}
	}
	slices.Sort(parts)
	s := strings.Join(parts, ", ")
	if total > len(parts) {
		s += fmt.Sprintf(" and %d more", total-len(parts))
	}
	return s
}

// Conclusion tells the end of the journey in one sentence.
func (j *Journey) Conclusion() string {
	q := j.Question
	switch {
	case j.RCode == dns.RCodeNXDomain:
		return fmt.Sprintf("%s does not exist", q.Name)
	case j.RCode != dns.RCodeNoError:
		s := fmt.Sprintf("%s could not be resolved: %s", q.Name, j.RCode)
		for _, e := range j.EDE {
			s += "; " + printable(e.String())
		}
		return s
	}
	for i, r := range j.Answer {
		if r.Type == q.Type || q.Type == dns.TypeANY {
			return fmt.Sprintf("%s %s is %s", q.Name, r.Type, listData(j.Answer[i:], 6))
		}
	}
	return fmt.Sprintf("%s exists, but has no %s", q.Name, q.Type)
}

// Duration writes d for a person, at most two units: 172800 s is "2 d".
func Duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	case d < time.Minute && d%time.Second >= 100*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	}
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	for i, u := range units {
		if d < u.size {
			continue
		}
		s := fmt.Sprintf("%d %s", d/u.size, u.name)
		if rest := d % u.size; i+1 < len(units) && rest >= units[i+1].size {
			s += fmt.Sprintf(" %d %s", rest/units[i+1].size, units[i+1].name)
		}
		return s
	}
	return d.String()
}

// The JSON form: names and records as presentation text, times in milliseconds,
// cache times in seconds. Field names are kept stable.
type (
	journeyJSON struct {
		Question  questionJSON `json:"question"`
		Hops      []hopJSON    `json:"hops"`
		RCode     string       `json:"rcode"`
		Answer    []recordJSON `json:"answer"`
		Errors    []string     `json:"extended_errors,omitempty"`
		ElapsedMS float64      `json:"elapsed_ms"`
	}
	questionJSON struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	recordJSON struct {
		Name string `json:"name"`
		Type string `json:"type"`
		TTL  uint32 `json:"ttl"`
		Data string `json:"data"`
	}
	hopJSON struct {
		Role    Role         `json:"role"`
		Zone    string       `json:"zone"`
		Server  string       `json:"server,omitempty"`
		Address string       `json:"address"`
		Proto   string       `json:"proto"`
		Asked   questionJSON `json:"asked"`
		Outcome Outcome      `json:"outcome"`
		Said    string       `json:"said"`
		Error   string       `json:"error,omitempty"`
		RCode   string       `json:"rcode"`
		Records []recordJSON `json:"records"`
		Keeps   []keepJSON   `json:"keeps"`
		RTTMS   float64      `json:"rtt_ms"`
		Side    string       `json:"for_server,omitempty"`
	}
	keepJSON struct {
		What    string `json:"what"`
		Seconds int64  `json:"seconds"`
	}
)

// MarshalJSON writes the journey in the form that `onoma trace --json` prints.
func (j *Journey) MarshalJSON() ([]byte, error) {
	out := journeyJSON{
		Question: questionToJSON(j.Question), RCode: j.RCode.String(),
		Answer: recordsToJSON(j.Answer), Hops: []hopJSON{}, ElapsedMS: milliseconds(j.Elapsed),
	}
	for _, e := range j.EDE {
		out.Errors = append(out.Errors, e.String())
	}
	for _, h := range j.Hops {
		hj := hopJSON{
			Role: h.Role, Zone: h.Zone.String(), Server: h.Server.String(), Address: h.Address.String(),
			Proto: h.Proto, Asked: questionToJSON(h.Asked), Outcome: h.Outcome, Said: h.Said(),
			Error: h.Error, RCode: h.RCode.String(), Records: recordsToJSON(h.Records),
			Keeps: []keepJSON{}, RTTMS: milliseconds(h.RTT), Side: h.Side.String(),
		}
		for _, k := range h.Keeps {
			hj.Keeps = append(hj.Keeps, keepJSON{k.What, int64(k.For / time.Second)})
		}
		out.Hops = append(out.Hops, hj)
	}
	return json.Marshal(out)
}

func questionToJSON(q dns.Question) questionJSON {
	return questionJSON{q.Name.String(), q.Type.String()}
}

func recordsToJSON(rs []dns.Record) []recordJSON {
	out := []recordJSON{}
	for _, r := range rs {
		out = append(out, recordJSON{r.Name.String(), r.Type.String(), r.TTL, string(dns.AppendRDataText(nil, r.Type, r.Data))})
	}
	return out
}

func secondsToDuration(s uint32) time.Duration { return time.Duration(s) * time.Second }

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
