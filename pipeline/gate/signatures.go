package gate

import (
	"context"

	"onoma/dns"
	"onoma/zone"
	"onoma/zone/sign"
)

// signatures refuses a version that came with signatures that are not right: who
// validates would take none of it (RFC 4035 §5).
func (r *Rules) signatures(ctx context.Context, j *Judged) *zone.Refusal {
	if r.DNSSEC == DNSSECOff {
		return nil
	}
	if !isSigned(j.Brought) {
		if r.DNSSEC == DNSSECVerify && len(r.Anchors) == 0 {
			return nil
		}
		return &zone.Refusal{Zone: j.ID, Rule: RuleDNSSEC, Reason: "the zone is not signed, and has to be; ask who publishes it, or set dnssec to off for it"}
	}
	var wrong []zone.Finding
	for _, f := range sign.VerifyContext(ctx, j.Brought, sign.VerifyOptions{At: j.At, Anchors: r.Anchors}) {
		if f.Severity == zone.Error {
			wrong = append(wrong, f)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return &zone.Refusal{
		Zone: j.ID, Rule: RuleDNSSEC, Findings: wrong,
		Reason: count(len(wrong), "thing is", "things are") + " wrong with the signatures, and validators would not take the zone; ask who publishes it, or set dnssec to off for it",
	}
}

// isSigned reports whether a version says that it is signed: whoever has its keys
// expects signatures.
func isSigned(v *zone.Version) bool {
	_, ok := v.SOA().Sigs()
	return ok || v.Apex().Has(dns.TypeDNSKEY)
}
