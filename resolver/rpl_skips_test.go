package resolver

const (
	malformedData = "drops a record with malformed data and takes the rest of the message; here the message is dropped"
	anyMinimal    = "asks for ANY, which is answered by RFC 8482"
)

// scenarioSkips are scripts that could run and do not pass, with the reason.
var scenarioSkips = map[string]string{
	"iter_scrub_rr_length":              malformedData,
	"val_scrub_rr_length":               malformedData,
	"iter_svcb_malformed":               malformedData,
	"fetch_glue":                        "asks the parent for glue that its referral left out; here such a delegation is broken",
	"iter_cycle_noh":                    "wants glue from outside of the zone that refers (harden-glue: no)",
	"iter_dname_insec":                  "answers a circle of aliases with NOERROR; here it is SERVFAIL with EDE",
	"iter_soamin":                       "keeps data longer than the parent granted; here a delegation is a lease",
	"iter_unverified_glue":              "asks for the address of a server whose glue came with the referral (harden-unverified-glue: yes)",
	"local_ds":                          "wants another name in the SOA of an empty zone than RFC 6303 has",
	"trust_cname_chain":                 "asks again for the end of an alias within one zone; here a zone is believed about itself",
	"ttl_max":                           "answers questions without RD with referrals; here they are refused",
	"black_prime_entry":                 "remembers for another name that the keys of a zone are bogus",
	"iter_dname_ttl":                    "keeps data longer than the parent granted; here a delegation is a lease",
	"iter_dname_ttl0":                   "keeps what has a TTL of 0 for a second; here it is used once (RFC 1035 §3.2.1)",
	"net_signed_servfail":               "counts the TTL from the end of validation; here it is from when the data came",
	"root_key_sentinel":                 "asks which anchors there are (RFC 8509)",
	"val_any":                           anyMinimal,
	"val_nsec3_wcany":                   anyMinimal,
	"val_nsec3_wcany_nodeny":            anyMinimal,
	"val_cnametocnamewctoposwc":         "wants an answer cut short where it fits",
	"val_nsec3_cnametocnamewctoposwc":   "wants an answer cut short where it fits",
	"val_cnametonsec":                   "takes the proof that a zone is not signed from the answer about another zone",
	"val_cnametooptin":                  "takes the proof that a zone is not signed from the answer about another zone",
	"val_dnametoolong":                  validatorSkips["val_dnametoolong"],
	"val_faildnskey_ok":                 validatorSkips["val_faildnskey_ok"],
	"val_ta_algo_missing":               validatorSkips["val_ta_algo_missing"],
	"val_failure_dnskey":                "wants the error Network Error where a server answered SERVFAIL",
	"val_nsec3_b1_nameerror_nowc":       "wants another error for a proof that lacks a record",
	"val_nsec3_entnodata_optout_badopt": "wants another error for a proof that lacks a record",
	"val_nsec3_cname_ds":                "has a wildcard's CNAME without its proof, below which it wants data",
	"val_refer_unsignadd":               "answers questions without RD with referrals; here they are refused",
	"val_referd":                        "answers questions without RD with referrals; here they are refused",
	"val_unsec_cname":                   "does not follow an alias for DS",
	"dns64_dnssec":                      "wants AD where the client validates by itself (CD)",
	"ds_wildcard_cname":                 "has a wildcard's CNAME in place of the proof that there is no DS",
	"ghost_glue_a":                      "keeps data longer than the parent granted; here a delegation is a lease",
	"nsec_cross_zone":                   "takes an NSEC record out of an answer that the client validates by itself (CD)",
	"rpz_val_block":                     "has policy deny the DS of a zone, and finds it insecure; here policy has no say in validation",
	"rrsig_agr_wild":                    "makes an answer of cached NSEC records (RFC 8198)",
	"ttl_msg":                           "answers questions without RD with referrals, and lets one negative answer's SOA change another's",
}
