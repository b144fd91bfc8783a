package nodes

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/authority"
	onoma "onoma/dns"
	"onoma/test/peers"
	"onoma/zone"
	"onoma/zone/zonegen"
)

// million delegations are the zone of the long run.
const million = 1_000_000

func delegations() int {
	if os.Getenv("ONOMA_LARGE") != "" {
		return million
	}
	return 20_000
}

// mark holds the long run to a mark. In the short one others use the machine.
func mark(t *testing.T, what string, got, most float64, unit string) {
	t.Helper()
	t.Logf("%s: %.3g %s (mark: %.3g)", what, got, unit, most)
	if delegations() == million && got > most {
		t.Errorf("%s: %.3g %s, the mark is %.3g", what, got, unit, most)
	}
}

// TestLarge has servers as they are released, without invariants, keep a large zone.
func TestLarge(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	binary := filepath.Join(t.TempDir(), "onoma")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/onoma")
	cmd.Dir, cmd.Env = peers.ModuleRoot(), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Run("restart", func(t *testing.T) { largeRestart(t, binary) })
	t.Run("difference", func(t *testing.T) { largeDifference(t, binary) })
}

func tldText(t *testing.T) string {
	t.Helper()
	var text bytes.Buffer
	if err := (zonegen.TLD{Origin: onoma.MustName("u.example."), Delegations: delegations(), Seed: 1}).WriteZone(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// largeRestart restarts a server with a large zone, and changes the zone.
func largeRestart(t *testing.T, binary string) {
	n := newNode(t, alone)
	n.Binary = binary
	n.Write(t, "zone", tldText(t))
	t.Logf("first start of %d delegations, from the zone file: %v", delegations(), n.start(t, "u.example."))
	first, err := n.serial("u.example.")
	if err != nil {
		t.Fatal(err)
	}
	n.End(t, syscall.SIGTERM)
	mark(t, "restart after a clean stop", n.start(t, "u.example.").Seconds(), 0.3, "s")
	changes := uint32(1000)
	if delegations() != million {
		changes = 100
	}
	before := cpu(t, n)
	for i := range changes {
		if err := n.update(5*time.Second, "u.example.", tenRecords(int(i))...); err != nil {
			t.Fatal(err)
		}
	}
	mark(t, "CPU for a change of ten records", (cpu(t, n)-before).Seconds()*1000/float64(changes), 2, "ms")
	n.End(t, syscall.SIGKILL)
	mark(t, "restart after kill -9, with changes since", n.start(t, "u.example.").Seconds(), 0.3, "s")
	if serial, err := n.serial("u.example."); err != nil || serial != first+changes {
		t.Errorf("behind the kill serial %d is served, expected %d, %v", serial, first+changes, err)
	}
	for _, i := range []int{0, int(changes) - 1} {
		want := tenRecords(i)[9]
		name, _, _ := strings.Cut(want, " ")
		if _, err := n.ask(name, dns.TypeTXT); err != nil {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// tenRecords are what change i adds.
func tenRecords(i int) (records []string) {
	for j := range 10 {
		records = append(records, fmt.Sprintf("c%d-%d.u.example. 60 IN TXT \"%d\"", i, j, i))
	}
	return records
}

// cpu is the time that the server has computed.
func cpu(t *testing.T, n *node) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	user, err1 := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	const tick = time.Second / 100 // USER_HZ
	return time.Duration(user+system) * tick
}

// memory returns a line of /proc/PID/status, in MB.
func memory(t *testing.T, n *node, what string) float64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), what+":")
	f := strings.Fields(rest)
	kb, err := strconv.ParseFloat(f[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb / 1024
}

// largeDifference has a secondary of a large zone take in a difference of a
// tenth of the names, by IXFR.
func largeDifference(t *testing.T, binary string) {
	from := peers.Addr(t)
	n := newNode(t, strings.NewReplacer("p.example", "u.example", "PRIMARY", from.String()).Replace(following))
	n.Binary = binary
	p := newPrimaryOf(t, tldText(t), "u.example.", from, n.Addr)
	n.start(t, "u.example.")
	rest := atRest(t, n)
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", n.Cmd.Process.Pid), []byte("5"), 0); err != nil {
		t.Skipf("the peak of memory cannot be reset: %v", err)
	}
	began := time.Now()
	serial := p.replace(t, delegations()/20)
	reach(t, time.Minute, "u.example.", serial, n)
	t.Logf("%d changed records served %v after the change", delegations()/10, time.Since(began).Round(time.Millisecond))
	peak := memory(t, n, "VmHWM")
	t.Logf("at rest %.0f MB, peak %.0f MB, behind it %.0f MB", rest, peak, atRest(t, n))
	mark(t, "memory during an incoming IXFR", peak/rest, 1.05, "times that at rest")
	if got := p.transfers.Load(); got != 2 {
		t.Errorf("%d transfers, expected the zone and a difference", got)
	}
	if p.kind.Load() != int64(authority.Incremental) {
		t.Error("the difference has not come by IXFR")
	}
}

// atRest waits until a server's memory stays as it is.
func atRest(t *testing.T, n *node) float64 {
	t.Helper()
	last, same := memory(t, n, "VmRSS"), 0
	for deadline := time.Now().Add(20 * time.Second); same < 10 && time.Now().Before(deadline); {
		time.Sleep(200 * time.Millisecond)
		now := memory(t, n, "VmRSS")
		if same++; now < last*0.995 || now > last*1.005 {
			last, same = now, 0
		}
	}
	return last
}

// replace gives so many records other rdata, in one version.
func (p *primary) replace(t *testing.T, records int) uint32 {
	t.Helper()
	v := p.zone.Current()
	every := v.Stats().Records / (2 * records)
	next, err := p.zone.Update(func(e *zone.Editor) error {
		soa := onoma.RData(append([]byte(nil), v.SOA().First()...))
		onoma.SetSOASerial(soa, onoma.SOASerial(soa)+1)
		if _, err := e.Add(onoma.Record{Name: v.Origin(), Type: onoma.TypeSOA, Class: onoma.ClassIN, TTL: v.SOA().TTL(), Data: soa}); err != nil {
			return err
		}
		i := 0
		for r := range v.Records() {
			if r.Type != onoma.TypeNS || r.Name == v.Origin() || records == 0 {
				continue
			}
			if i++; i%every != 0 {
				continue
			}
			records--
			e.Remove(r)
			r.Data = onoma.NewTarget(onoma.MustName("ns.other.example."))
			if _, err := e.Add(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p.notifier.Publish(p.zone)
	return next.Serial()
}
