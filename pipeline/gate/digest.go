package gate

import (
	"onoma/dns/dnssec"
	"onoma/zone"
)

// digest refuses a version whose ZONEMD records do not fit what it has.
func (r *Rules) digest(id zone.ID, v *zone.Version) *zone.Refusal {
	if r.ZONEMD == ZONEMDOff {
		return nil
	}
	verdict := dnssec.VerifyZONEMD(v.Origin(), v.Records())
	switch {
	case verdict.OK():
		return nil
	case !verdict.Judged() && r.ZONEMD != ZONEMDRequire:
		return nil
	}
	return &zone.Refusal{Zone: id, Rule: RuleZONEMD, Reason: verdict.String() + "; ask who publishes the zone, or set zonemd to off for it"}
}
