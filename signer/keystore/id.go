package keystore

import (
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/dnssec/keyfile"
)

// An id is ZONE+ALGORITHM+TAG+RANDOM: people see what it is, and no two are ever
// the same. What counts stands in the file.
const exampleID = "example.com.+013+12345+0123456789abcdef"

// maxZonePart keeps ids within what a file's name may have.
const maxZonePart = 160

// zoneText is how ids begin that belong to a zone, and perhaps, for very long
// names, to some others.
func zoneText(zone dns.Name) string {
	s := keyfile.ZoneFileName(zone)
	if s == "." {
		return "root" // no file's name begins with a dot
	}
	return s[:min(len(s), maxZonePart)]
}

func zonePart(id string) string {
	zone, _, _ := strings.Cut(id, "+")
	return zone
}

func (s *Store) newID(zone dns.Name, k *dnssec.Key) (string, error) {
	var b [8]byte
	if _, err := io.ReadFull(s.o.Random, b[:]); err != nil {
		return "", fmt.Errorf("naming a key of %s: %w", zone, err)
	}
	return fmt.Sprintf("%s+%03d+%05d+%s", zoneText(zone), k.Algorithm(), k.Tag(), hex.EncodeToString(b[:])), nil
}

// isID keeps everything out that could be a path.
func isID(id string) bool {
	if len(id) == 0 || len(id) > 250 || id[0] == '.' || strings.Count(id, "+") != 3 {
		return false
	}
	for _, c := range []byte(id) {
		isPlain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !isPlain && strings.IndexByte("+-_.%", c) < 0 {
			return false
		}
	}
	return true
}

// tagOf reads algorithm and tag of an id.
func tagOf(id string) (algorithm uint8, tag uint16) {
	parts := strings.Split(id, "+")
	if len(parts) < 3 {
		return 0, 0
	}
	a, _ := strconv.ParseUint(parts[1], 10, 8)
	t, _ := strconv.ParseUint(parts[2], 10, 16)
	return uint8(a), uint16(t)
}

func (s *Store) namesOf(zone dns.Name) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tags[zoneText(zone)])
}

// isTaken compares tags, also as they would be with the keys revoked.
func (s *Store) isTaken(zone dns.Name, k *dnssec.Key) bool {
	revoked := k.DNSKEY()
	revoked.Flags |= dns.DNSKEYRevoke
	for _, id := range s.namesOf(zone) {
		algorithm, tag := tagOf(id)
		if algorithm == k.Algorithm() && (near(tag, k.Tag()) || near(tag, revoked.KeyTag())) {
			return true
		}
	}
	return false
}

// near reports whether two tags are the same, or would be if one key were revoked:
// the flag is worth 128 in the sum (RFC 4034 appendix B), perhaps with a carry.
func near(a, b uint16) bool {
	d := a - b
	return d == 0 || d == dns.DNSKEYRevoke || d == dns.DNSKEYRevoke+1 || -d == dns.DNSKEYRevoke || -d == dns.DNSKEYRevoke+1
}
