package year

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
}

var judges = []judge{
	{"dnssec-verify", func(file string, _ time.Time) []string {
		return []string{"sh", "-c", `dnssec-verify -q -o year.test "$0" || dnssec-verify -q -z -o year.test "$0"`, file} // a KSK and a ZSK, or one key
	}, func(v *zone.Version, _ []uint8) string {
		return compactHasNoChain(v)
	}},
	{"ldns-verify-zone", func(file string, at time.Time) []string {
		return []string{"ldns-verify-zone", "-t", at.Format("20060102150405"), file}
	}, func(v *zone.Version, _ []uint8) string {
		return compactHasNoChain(v)
	}},
	{"kzonecheck", func(file string, at time.Time) []string {
		return []string{"kzonecheck", "-o", "year.test", "-d", "on", "-t", strconv.FormatInt(at.Unix(), 10), file}
	}, func(v *zone.Version, _ []uint8) string {
		if areOneKeyEach(v) {
			return "kzonecheck wants the signatures of all keys with SEP where there is none without; RFC 4035 §2.2 wants one an algorithm"
		}
		return compactHasNoChain(v)
	}},
	{"validns", func(file string, at time.Time) []string {
		return []string{"validns", "-z", "year.test", "-t", strconv.FormatInt(at.Unix(), 10), file}
	}, func(v *zone.Version, algorithms []uint8) string {
		for _, a := range algorithms {
			if a != dnssec.RSASHA256 && a != dnssec.RSASHA512 {
				return "validns as it is in Debian cannot verify ECDSA with OpenSSL 3 (what dnssec-signzone signs neither), and is older than RFC 8080"
			}
		}
		if _, ok := v.Apex().RRset(dns.TypeCDS); ok {
			return "validns does not know CDS (RFC 7344)"
		}
		return compactHasNoChain(v)
	}},
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
	file := filepath.Join(w.TempDir(), "zone")
	f, err := os.Create(file)
	if err != nil {
		w.Fatal(err)
	}
	if err := zonefile.Write(f, childName, v.Records()); err != nil {
		w.Fatal(err)
	}
	f.Close()
	for _, j := range judges {
		if _, err := exec.LookPath(j.binary); err != nil || w.clockLibrary() == "" || j.skips(v, algorithms) != "" {
			continue
		}
		args := j.args(file, now)
		ctx, done := context.WithTimeout(context.Background(), 20*time.Second)
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "TZ=UTC", "LD_PRELOAD="+w.clockLibrary(),
			fmt.Sprintf("ONOMA_CLOCK=%d", int64(time.Until(now).Seconds())))
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

// clockLibrary is what has other programs see the world's time, "" where there is no C compiler to make it.
func (w *world) clockLibrary() string {
	if w.library != "" {
		return w.library
	}
	out := filepath.Join(w.TempDir(), "clock.so")
	if text, err := exec.Command("cc", "-shared", "-fPIC", "-O1", "-o", out, "testdata/clock.c").CombinedOutput(); err != nil {
		w.Logf("other tools are not asked, there is no C compiler: %v %s", err, text)
		return ""
	}
	w.library = out
	return out
}
