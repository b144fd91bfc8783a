package dnssec

import (
	"crypto"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The algorithms that are known here, by their DNSSEC numbers (RFC 8624, IANA).
const (
	RSASHA1          = 5  // RFC 3110; verified, never made (RFC 9905 §2)
	RSASHA1NSEC3SHA1 = 7  // RFC 5155 §2: the same, in zones that may have NSEC3
	RSASHA256        = 8  // RFC 5702
	RSASHA512        = 10 // RFC 5702
	ECDSAP256SHA256  = 13 // RFC 6605
	ECDSAP384SHA384  = 14 // RFC 6605
	ED25519          = 15 // RFC 8080
	ED448            = 16 // RFC 8080
)

// Errors of keys and signatures.
var (
	ErrAlgorithm = errors.New("algorithm is not known")
	ErrKey       = errors.New("malformed public key")
	ErrSignature = errors.New("signature is wrong")
)

// algorithm is what is known of one of them.
type algorithm struct {
	name  string
	hash  crypto.Hash // 0: the data themselves are signed
	bits  int         // size of keys; 0: RSA, which has a choice
	signs bool
}

// algorithms has those that are verified; signs says which are made, too.
// RFC 9905 §2 has no new signatures with SHA-1.
var algorithms = map[uint8]algorithm{
	RSASHA1:          {"RSASHA1", crypto.SHA1, 0, false},
	RSASHA1NSEC3SHA1: {"RSASHA1-NSEC3-SHA1", crypto.SHA1, 0, false},
	RSASHA256:        {"RSASHA256", crypto.SHA256, 0, true},
	RSASHA512:        {"RSASHA512", crypto.SHA512, 0, true},
	ECDSAP256SHA256:  {"ECDSAP256SHA256", crypto.SHA256, 256, true},
	ECDSAP384SHA384:  {"ECDSAP384SHA384", crypto.SHA384, 384, true},
	ED25519:          {"ED25519", 0, 256, true},
	ED448:            {"ED448", 0, 456, true},
}

// CanVerify reports whether signatures of the algorithm can be checked. A zone
// that has only others is insecure for a validator (RFC 4035 §5.2).
func CanVerify(a uint8) bool {
	_, ok := algorithms[a]
	return ok
}

// CanSign reports whether keys can be generated and signatures made.
func CanSign(a uint8) bool { return algorithms[a].signs }

// AlgorithmName returns the mnemonic of IANA's registry, or the number.
func AlgorithmName(a uint8) string {
	if x, ok := algorithms[a]; ok {
		return x.name
	}
	return strconv.Itoa(int(a))
}

// ParseAlgorithm reads a mnemonic in any case, or a number. It takes what cannot
// be verified, too, as a number: zones may have it.
func ParseAlgorithm(s string) (uint8, error) {
	u := strings.ToUpper(s)
	if u == "NSEC3RSASHA1" { // as BIND and others have it
		return RSASHA1NSEC3SHA1, nil
	}
	for a, x := range algorithms {
		if x.name == u {
			return a, nil
		}
	}
	// 0 is DELETE (RFC 8078 §4), 255 is reserved (RFC 4034 appendix A.1).
	if n, err := strconv.ParseUint(s, 10, 8); err == nil && n > 0 && n < 255 {
		return uint8(n), nil
	}
	return 0, fmt.Errorf("%w: %q; ECDSAP256SHA256 (13) and ED25519 (15) are good choices", ErrAlgorithm, s)
}

func hashOf(a uint8) crypto.Hash { return algorithms[a].hash }
