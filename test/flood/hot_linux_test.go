package flood

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// cpu is the processor time that the process has taken.
func (p *process) cpu(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 everywhere
}

// One name that everybody asks for costs no more than many names.
func TestHotNames(t *testing.T) {
	const rate = 40_000
	r := newRig(t)
	s := scenario{zone: plainZone}
	p := s.serve(t, r)
	cost := func(name string, change func(frame, *rand.Rand)) time.Duration {
		a := r.begin(t, udpFrame(r.serverMAC, question(t, name, dns.TypeA, false)), rate, change)
		time.Sleep(200 * time.Millisecond)
		before, _ := r.packets()
		began := p.cpu(t)
		time.Sleep(time.Second)
		took := p.cpu(t) - began
		after, _ := r.packets()
		a.end()
		return took / time.Duration(max(after-before, 1))
	}
	digits := func(f frame, rng *rand.Rand) { // host100 to host999
		forged(f, rng)
		n := 100 + rng.IntN(900)
		f[firstLabel+4], f[firstLabel+5], f[firstLabel+6] = byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10)
	}
	var hot, many time.Duration
	for range attempts {
		hot, many = cost("host500.example.com.", forged), cost("host500.example.com.", digits)
		t.Logf("an answer costs %v for one name, %v for 900 names", hot, many)
		if float64(hot) <= 1.15*float64(many) {
			return
		}
	}
	t.Errorf("one name costs more than many do")
}
