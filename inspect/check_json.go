package inspect

import (
	"encoding/hex"
	"encoding/json"
	"time"

	"onoma/dns/dnssec"
	"onoma/resolver/validator"
)

// The JSON form of a check. Field names are kept stable; times are RFC 3339.
type (
	healthJSON struct {
		Zone      string         `json:"zone"`
		Parent    string         `json:"parent,omitempty"`
		At        time.Time      `json:"at"`
		Status    string         `json:"status"` // "secure", "insecure", "bogus", "indeterminate"
		Why       string         `json:"why,omitempty"`
		Signed    bool           `json:"signed"`
		Sound     bool           `json:"sound"` // no finding is an error
		Findings  []findingJSON  `json:"findings"`
		Chain     []linkJSON     `json:"chain"`
		Data      []setJSON      `json:"data"` // the sets that were validated at the end of the chain
		Parents   []serverJSON   `json:"parent_servers"`
		Servers   []serverJSON   `json:"servers"`
		Endpoints []endpointJSON `json:"dsync,omitempty"`
		ElapsedMS float64        `json:"elapsed_ms"`
	}
	findingJSON struct {
		Severity string `json:"severity"`
		Code     string `json:"code"`
		Name     string `json:"name"`
		Type     string `json:"type,omitempty"`
		Text     string `json:"text"`
		Cure     string `json:"cure"`
	}
	linkJSON struct {
		Zone    string    `json:"zone"`
		Status  string    `json:"status"`
		Why     string    `json:"why"`
		Anchor  bool      `json:"anchor,omitempty"` // the DS are configured, not the parent's
		DS      []dsJSON  `json:"ds"`
		DSSigs  []sigJSON `json:"ds_signatures"`
		Denial  []setJSON `json:"denial,omitempty"` // proof that there is no DS
		Keys    []keyJSON `json:"keys"`
		KeySigs []sigJSON `json:"key_signatures"`
	}
	dsJSON struct {
		Tag        uint16 `json:"tag"`
		Algorithm  string `json:"algorithm"`
		DigestType string `json:"digest_type"`
		Digest     string `json:"digest"`
		Used       bool   `json:"used"` // it is of a key that the zone has
	}
	keyJSON struct {
		Tag       uint16 `json:"tag"`
		Algorithm string `json:"algorithm"`
		Flags     uint16 `json:"flags"`
		Role      string `json:"role"` // "KSK", "ZSK", "CSK", "revoked", "no zone key"
		HasDS     bool   `json:"has_ds"`
		SignsKeys bool   `json:"signs_keys"`
	}
	sigJSON struct {
		Signer     string    `json:"signer"`
		Tag        uint16    `json:"tag"`
		Algorithm  string    `json:"algorithm"`
		Inception  time.Time `json:"inception"`
		Expiration time.Time `json:"expiration"`
		Good       bool      `json:"good"`
		Why        string    `json:"why,omitempty"` // where it is not good; absent for one that was not needed
	}
	setJSON struct {
		Name       string    `json:"name"`
		Type       string    `json:"type"`
		Status     string    `json:"status"`
		Why        string    `json:"why,omitempty"`
		Signatures []sigJSON `json:"signatures"`
	}
	serverJSON struct {
		Name    string `json:"name"`
		Address string `json:"address"`
		Serial  uint32 `json:"serial,omitempty"`
		Status  string `json:"status,omitempty"` // of the chain by way of this server
		Error   string `json:"error,omitempty"`
	}
	endpointJSON struct {
		Type   string `json:"type"`
		Target string `json:"target"`
		Port   uint16 `json:"port"`
		Secure bool   `json:"secure"`
	}
)

// MarshalJSON writes the check in the form that `onoma check --json` prints.
func (h *Health) MarshalJSON() ([]byte, error) {
	out := healthJSON{
		Zone: h.Zone.String(), Parent: h.Parent.String(), At: h.At.UTC(), Status: h.Trust.Status.String(), Why: h.Trust.Why,
		Signed: h.Signed, Sound: h.IsSound(), Findings: []findingJSON{}, Chain: []linkJSON{}, Data: setsToJSON(h.Trust.Sets),
		Parents: serversToJSON(h.Above, false), Servers: serversToJSON(h.Own, true), ElapsedMS: milliseconds(h.Elapsed),
	}
	for _, f := range h.Findings {
		j := findingJSON{Severity: f.Severity.String(), Code: f.Code, Name: f.Name.String(), Text: f.Text, Cure: f.Cure}
		if f.Type != 0 {
			j.Type = f.Type.String()
		}
		out.Findings = append(out.Findings, j)
	}
	for _, l := range h.Trust.Chain {
		out.Chain = append(out.Chain, h.linkToJSON(l))
	}
	for _, e := range h.DSYNC {
		out.Endpoints = append(out.Endpoints, endpointJSON{e.Type.String(), e.Target.String(), e.Port, e.Secure})
	}
	return json.Marshal(out)
}

func (h *Health) linkToJSON(l validator.Link) linkJSON {
	out := linkJSON{
		Zone: l.Zone.String(), Status: l.Status.String(), Why: l.Why, Anchor: l.IsAnchor,
		DS: []dsJSON{}, DSSigs: sigsToJSON(l.DSSigs), Keys: []keyJSON{}, KeySigs: sigsToJSON(l.KeySigs),
	}
	if len(l.Denial) > 0 {
		out.Denial = setsToJSON(l.Denial)
	}
	for _, d := range l.DS {
		out.DS = append(out.DS, dsJSON{d.KeyTag, dnssec.AlgorithmName(d.Algorithm), digestName(d.DigestType), hex.EncodeToString(d.Digest), isUsed(l, d)})
	}
	for _, k := range l.Keys {
		out.Keys = append(out.Keys, keyJSON{k.Tag, dnssec.AlgorithmName(k.Algorithm), k.Flags, h.role(l, k), k.IsTrusted, k.Signs})
	}
	return out
}

func sigsToJSON(sigs []validator.Signature) []sigJSON {
	out := []sigJSON{}
	for _, s := range sigs {
		out = append(out, sigJSON{s.Signer.String(), s.KeyTag, dnssec.AlgorithmName(s.Algorithm), s.Inception.UTC(), s.Expiration.UTC(), s.IsGood, s.Why})
	}
	return out
}

func setsToJSON(sets []validator.Set) []setJSON {
	out := []setJSON{}
	for _, s := range sets {
		out = append(out, setJSON{s.Owner.String(), s.Type.String(), s.Status.String(), s.Why, sigsToJSON(s.Sigs)})
	}
	return out
}

func serversToJSON(list []ServerState, isOwn bool) []serverJSON {
	out := []serverJSON{}
	for _, st := range list {
		j := serverJSON{Name: st.Name.String(), Address: st.Addr.String(), Serial: st.Serial, Error: st.Error}
		if isOwn && st.Error == "" {
			j.Status = st.Trust.String()
		}
		out = append(out, j)
	}
	return out
}
