package year

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/zonefile"
	"onoma/zone"
)

// judge is a tool that says whether a zone is signed as it should be.
type judge struct {
	binary string
	args   func(file string, at time.Time) []string
	// skips says why the tool has nothing to say about a zone, "" if it has.
	skips func(v *zone.Version, algorithms []uint8) string
	isOld bool // it does not know CDS (RFC 7344) by name
}

// isRSAOnly is what Debian's validns (0.8+git20160720, with OpenSSL 3) has to say of zones that dnssec-signzone has signed with
// ECDSA: 'error building pkey' for each DNSKEY; with Ed25519: 'bad or unsupported algorithm 15'. It is older than RFC 8080.
const isRSAOnly = "validns verifies RSA only"

var judges = []judge{
	{"dnssec-verify", func(file string, _ time.Time) []string {
		return []string{"sh", "-c", `dnssec-verify -q -o year.test "$0" || dnssec-verify -q -z -o year.test "$0"`, file} // a KSK and a ZSK, or one key
	}, func(v *zone.Version, _ []uint8) string {
		return compactHasNoChain(v)
	}, false},
	{"ldns-verify-zone", func(file string, at time.Time) []string {
		return []string{"ldns-verify-zone", "-t", at.Format("20060102150405"), file}
	}, func(v *zone.Version, _ []uint8) string {
		return compactHasNoChain(v)
	}, false},
	{"kzonecheck", func(file string, at time.Time) []string {
		return []string{"kzonecheck", "-o", "year.test", "-d", "on", "-t", strconv.FormatInt(at.Unix(), 10), file}
	}, func(v *zone.Version, _ []uint8) string {
		if areOneKeyEach(v) {
			return "kzonecheck wants the signatures of all keys with SEP where there is none without; RFC 4035 §2.2 wants one an algorithm"
		}
		return compactHasNoChain(v)
	}, false},
	{"validns", func(file string, at time.Time) []string {
		return []string{"validns", "-z", "year.test", "-t", strconv.FormatInt(at.Unix(), 10), file}
	}, func(v *zone.Version, algorithms []uint8) string {
		for _, a := range algorithms {
			if a != dnssec.RSASHA256 && a != dnssec.RSASHA512 {
				return isRSAOnly
			}
		}
		if hasSuperfluous(v) {
			return "validns refuses signatures by keys that are not in the DNSKEY set, which a change of algorithm has (RFC 6781 §4.1.4)"
		}
		return compactHasNoChain(v)
	}, true},
}

// hasSuperfluous: there are signatures by keys that are not published.
func hasSuperfluous(v *zone.Version) bool {
	set, _ := v.Apex().RRset(dns.TypeDNSKEY)
	var tags []uint16
	for data := range set.RData() {
		if k, err := dns.ParseDNSKEY(dns.RData(data)); err == nil {
			tags = append(tags, k.KeyTag())
		}
	}
	for r := range v.Records() {
		if s, err := dns.ParseRRSIG(r.Data); r.Type == dns.TypeRRSIG && (err != nil || !slices.Contains(tags, s.KeyTag)) {
			return true
		}
	}
	return false
}

// areOneKeyEach: several keys are in the DNSKEY set, each of which could do all.
func areOneKeyEach(v *zone.Version) bool {
	set, _ := v.Apex().RRset(dns.TypeDNSKEY)
	for data := range set.RData() {
		if data[1]&dns.DNSKEYSEP == 0 {
			return false
		}
	}
	return set.Count() > 1
}

// compactHasNoChain: RFC 9824 makes proofs when asked; there is nothing in the zone to be verified as a chain.
func compactHasNoChain(v *zone.Version) string {
	if v.Denial() == zone.DenialCompact {
		return "compact denial has no chain (RFC 9824)"
	}
	return ""
}

// write writes the zone as it is, and (true) as tools have it that are older than CDS.
func (w *world) write(v *zone.Version) map[bool]string {
	w.Helper()
	dir := w.TempDir()
	files := map[bool]string{false: filepath.Join(dir, "zone"), true: filepath.Join(dir, "old")}
	f, err := os.Create(files[false])
	if err != nil {
		w.Fatal(err)
	}
	if err := zonefile.Write(f, childName, v.Records()); err != nil {
		w.Fatal(err)
	}
	f.Close()
	var old strings.Builder
	for r := range v.Records() {
		old.WriteString(withoutCDS(r) + "\n")
	}
	if err := os.WriteFile(files[true], []byte(old.String()), 0o644); err != nil {
		w.Fatal(err)
	}
	return files
}

// withoutCDS writes a record without the names of CDS and CDNSKEY, in the form of RFC 3597 §5.
func withoutCDS(r dns.Record) string {
	switch r.Type {
	case dns.TypeCDS, dns.TypeCDNSKEY:
		return fmt.Sprintf("%s %d IN TYPE%d \\# %d %x", r.Name, r.TTL, r.Type, len(r.Data), r.Data)
	case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3:
		words := strings.Fields(r.String())
		for i, word := range words {
			switch word {
			case "CDS":
				words[i] = "TYPE59"
			case "CDNSKEY":
				words[i] = "TYPE60"
			}
		}
		return strings.Join(words, " ")
	}
	return r.String()
}

// judgeZone has all tools say what they think of the zone as it is.
func (w *world) judgeZone(step string) (judged int) {
	w.Helper()
	v, now := w.primary.Latest(), w.clock()
	set, ok := v.Apex().RRset(dns.TypeDNSKEY)
	if !ok {
		return 0
	}
	var algorithms []uint8
	for data := range set.RData() {
		algorithms = append(algorithms, data[3])
	}
	files := w.write(v)
	for _, j := range judges {
		if _, err := exec.LookPath(j.binary); err != nil || w.others.library == "" || j.skips(v, algorithms) != "" {
			continue
		}
		args := j.args(files[j.isOld], now)
		ctx, done := context.WithTimeout(context.Background(), 20*time.Second)
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Env = w.others.environment()
		cmd.WaitDelay = time.Second
		if out, err := cmd.CombinedOutput(); err != nil {
			w.Errorf("%v: %s: %s: %v\n%s", now, step, j.binary, err, tail(string(out), 15))
		}
		done()
		judged++
	}
	return judged
}

func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
