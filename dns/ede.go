package dns

import (
	"encoding/binary"
	"strconv"
)

// EDECode is the info-code of an extended DNS error (RFC 8914 §4 and IANA's
// registry of Extended DNS Error Codes).
type EDECode uint16

// The registered codes.
const (
	EDEOther                   EDECode = 0
	EDEUnsupportedDNSKEYAlg    EDECode = 1
	EDEUnsupportedDSDigest     EDECode = 2
	EDEStaleAnswer             EDECode = 3
	EDEForgedAnswer            EDECode = 4
	EDEDNSSECIndeterminate     EDECode = 5
	EDEDNSSECBogus             EDECode = 6
	EDESignatureExpired        EDECode = 7
	EDESignatureNotYetValid    EDECode = 8
	EDEDNSKEYMissing           EDECode = 9
	EDERRSIGsMissing           EDECode = 10
	EDENoZoneKeyBitSet         EDECode = 11
	EDENSECMissing             EDECode = 12
	EDECachedError             EDECode = 13
	EDENotReady                EDECode = 14
	EDEBlocked                 EDECode = 15
	EDECensored                EDECode = 16
	EDEFiltered                EDECode = 17
	EDEProhibited              EDECode = 18
	EDEStaleNXDomain           EDECode = 19
	EDENotAuthoritative        EDECode = 20
	EDENotSupported            EDECode = 21
	EDENoReachableAuthority    EDECode = 22
	EDENetworkError            EDECode = 23
	EDEInvalidData             EDECode = 24
	EDESignatureExpiredBefore  EDECode = 25
	EDETooEarly                EDECode = 26
	EDEUnsupportedNSEC3Iters   EDECode = 27
	EDEUnableToConformToPolicy EDECode = 28
	EDESynthesized             EDECode = 29
	EDEInvalidQueryType        EDECode = 30
	EDERateLimited             EDECode = 31
	EDEOverQuota               EDECode = 32
	EDENegativeTrustAnchor     EDECode = 33
	EDENewDelegationOnly       EDECode = 34
)

var edeNames = [...]string{
	"Other", "Unsupported DNSKEY Algorithm", "Unsupported DS Digest Type", "Stale Answer",
	"Forged Answer", "DNSSEC Indeterminate", "DNSSEC Bogus", "Signature Expired",
	"Signature Not Yet Valid", "DNSKEY Missing", "RRSIGs Missing", "No Zone Key Bit Set",
	"NSEC Missing", "Cached Error", "Not Ready", "Blocked", "Censored", "Filtered",
	"Prohibited", "Stale NXDOMAIN Answer", "Not Authoritative", "Not Supported",
	"No Reachable Authority", "Network Error", "Invalid Data", "Signature Expired before Valid",
	"Too Early", "Unsupported NSEC3 Iterations Value", "Unable to conform to policy",
	"Synthesized", "Invalid Query Type", "Rate Limited", "Over Quota", "Negative Trust Anchor",
	"New Delegation Only",
}

// String returns the registered purpose, or EDE and the number.
func (c EDECode) String() string {
	if int(c) < len(edeNames) {
		return edeNames[c]
	}
	return "EDE" + strconv.Itoa(int(c))
}

// EDE is an extended DNS error: a code, and a text for a person.
type EDE struct {
	Code EDECode
	Text string
}

// Append appends the error as an EDNS option in wire form to dst.
func (e EDE) Append(dst []byte) []byte {
	be := binary.BigEndian
	dst = be.AppendUint16(dst, uint16(OptionEDE))
	dst = be.AppendUint16(dst, uint16(2+len(e.Text)))
	dst = be.AppendUint16(dst, uint16(e.Code))
	return append(dst, e.Text...)
}

// Option returns the error as an EDNS option.
func (e EDE) Option() Option { return Option{OptionEDE, e.Append(nil)[4:]} }

// String shows the error as tools print it: "22 (No Reachable Authority): text".
func (e EDE) String() string {
	s := strconv.Itoa(int(e.Code)) + " (" + e.Code.String() + ")"
	if e.Text != "" {
		s += ": " + printable([]byte(e.Text))
	}
	return s
}
