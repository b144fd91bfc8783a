package inspect

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"onoma/dns"
)

// The JSON form of a reply, as `onoma query --json` prints it. Names and data
// are in presentation form, times in milliseconds. Field names are kept stable.
type (
	replyJSON struct {
		Server     string         `json:"server"`    // ADDR:PORT that replied
		Proto      string         `json:"proto"`     // "udp", "tcp", "tls", "quic" or "https"
		When       time.Time      `json:"when"`      // of asking
		TimeMS     float64        `json:"time_ms"`   // until the reply
		Size       int            `json:"size"`      // octets of the reply
		Truncated  bool           `json:"truncated"` // over UDP, and so asked again over TCP
		ID         uint16         `json:"id"`
		Opcode     string         `json:"opcode"`
		Status     string         `json:"status"`         // response code, as in "NXDOMAIN"
		Flags      []string       `json:"flags"`          // as in ["qr","rd","ra"]
		EDNS       *ednsJSON      `json:"edns,omitempty"` // absent without OPT
		Question   []questionLine `json:"question"`
		Answer     []recordLine   `json:"answer"`
		Authority  []recordLine   `json:"authority"`
		Additional []recordLine   `json:"additional"` // OPT is not here, but in edns
	}
	ednsJSON struct {
		Version uint8        `json:"version"`
		Flags   []string     `json:"flags"` // "do", "co"
		UDPSize uint16       `json:"udp_size"`
		NSID    string       `json:"nsid,omitempty"`    // the octets as text
		EDE     []edeJSON    `json:"ede,omitempty"`     // extended errors (RFC 8914)
		Options []optionJSON `json:"options,omitempty"` // all other options
	}
	edeJSON struct {
		Code    uint16 `json:"code"`
		Purpose string `json:"purpose"` // as registered
		Text    string `json:"text,omitempty"`
	}
	optionJSON struct {
		Code uint16 `json:"code"`
		Name string `json:"name"`
		Data string `json:"data"` // hex
	}
	questionLine struct {
		Name  string `json:"name"`
		Class string `json:"class"`
		Type  string `json:"type"`
	}
	recordLine struct {
		Name  string `json:"name"`
		TTL   uint32 `json:"ttl"`
		Class string `json:"class"`
		Type  string `json:"type"`
		Data  string `json:"data"`
	}
)

// MarshalJSON writes the reply in the form of replyJSON.
func (r *Reply) MarshalJSON() ([]byte, error) {
	m := r.Message
	out := replyJSON{
		Server: r.Server.String(), Proto: r.Proto.String(), When: r.Asked, TimeMS: milliseconds(r.Elapsed),
		Size: r.Size, Truncated: r.Truncated,
		ID: m.ID, Opcode: m.Flags.Opcode().String(), Status: m.RCode.String(), Flags: strings.Fields(m.Flags.String()),
		EDNS: ednsToJSON(m.EDNS), Question: []questionLine{},
		Answer: recordLines(m.Answer), Authority: recordLines(m.Authority), Additional: recordLines(m.Additional),
	}
	for _, q := range m.Questions {
		out.Question = append(out.Question, questionLine{q.Name.String(), q.Class.String(), q.Type.String()})
	}
	return json.Marshal(out)
}

func recordLines(rs []dns.Record) []recordLine {
	lines := make([]recordLine, len(rs))
	for i, r := range rs {
		data := string(dns.AppendRDataText(nil, r.Type, r.Data))
		lines[i] = recordLine{r.Name.String(), r.TTL, r.Class.String(), r.Type.String(), data}
	}
	return lines
}

func ednsToJSON(e *dns.EDNS) *ednsJSON {
	if e == nil {
		return nil
	}
	out := &ednsJSON{Version: e.Version, UDPSize: e.UDPSize, Flags: []string{}}
	if e.DO {
		out.Flags = append(out.Flags, "do")
	}
	if e.CO {
		out.Flags = append(out.Flags, "co")
	}
	for _, o := range e.Options {
		ede, err := o.EDE()
		switch {
		case o.Code == dns.OptionEDE && err == nil:
			out.EDE = append(out.EDE, edeJSON{uint16(ede.Code), ede.Code.String(), ede.Text})
		case o.Code == dns.OptionNSID && out.NSID == "":
			out.NSID = string(o.Data) // encoding/json replaces what is not UTF-8
		default:
			out.Options = append(out.Options, optionJSON{uint16(o.Code), o.Code.String(), hex.EncodeToString(o.Data)})
		}
	}
	return out
}
