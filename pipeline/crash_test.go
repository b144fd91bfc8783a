package pipeline

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/dns"
	"onoma/zone"
	"onoma/zone/sign"
)

// crashDir tells a child process of TestCrash where its database is, and crashSigned
// that one of its zones is signed.
const (
	crashDir    = "ONOMA_PIPELINE_CRASH_DIR"
	crashSigned = "ONOMA_PIPELINE_CRASH_SIGNED"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		submitUntilKilled(dir, crashSpecs(os.Getenv(crashSigned) != ""))
		return
	}
	os.Exit(m.Run())
}

func crashSpecs(signed bool) []ZoneSpec {
	specs := []ZoneSpec{{ID: exampleID}, {ID: otherID}}
	if signed {
		specs[0].Signer = newSigner(planOf(sign.Denial{Kind: sign.NSEC3}))
	}
	return specs
}

// submitUntilKilled changes two zones at a time by several goroutines, and writes a
// line for each change that was acknowledged: the name that was added to both.
func submitUntilKilled(dir string, specs []ZoneSpec) {
	t := &childT{}
	r := &rig{t: t, dir: dir, url: "sqlite:" + dir + "/onoma.db", now: time.Now}
	r.start(specs...)
	for _, origin := range []string{"example.", "other."} {
		if n, _, _ := r.Head(zone.IDOf("", dns.MustName(origin))); n == 0 {
			r.must(replace(version(t, origin, 1)))
		}
	}
	var out sync.Mutex
	start := time.Now().UnixNano()
	for i := range 8 {
		go func() {
			for j := 0; ; j++ {
				label := fmt.Sprintf("n%d-%d-%d", start, i, j)
				got, err := r.submit(add(exampleID, label+".example. 300 IN A 192.0.2.1"), add(otherID, label+".other. 300 IN A 192.0.2.1"))
				if err != nil {
					t.Fatal(err)
				}
				out.Lock()
				_, _ = fmt.Println(label, got[0].Version, got[0].Serial)
				out.Unlock()
			}
		}()
	}
	select {}
}

// childT is what the helpers of tests need, in a process that is no test.
type childT struct{ testing.TB }

func (*childT) Helper() {}
func (*childT) Fatal(args ...any) {
	fmt.Println("FATAL", fmt.Sprint(args...))
	os.Exit(3)
}
func (t *childT) Error(args ...any) { t.Fatal(args...) }

// A process that is killed at any moment has lost nothing that it acknowledged, and
// has nothing done by halves.
func TestCrash(t *testing.T) { crash(t, false) }

// Nor is there a version whose signatures are done by halves.
func TestCrashSigned(t *testing.T) { crash(t, true) }

func crash(t *testing.T, signed bool) {
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	var lastSerial uint32
	for round := range rounds {
		for _, line := range runAndKill(t, dir, signed, time.Duration(50+rand.IntN(400))*time.Millisecond) {
			var label string
			var number uint64
			var serial uint32
			if _, err := fmt.Sscan(line, &label, &number, &serial); err != nil {
				t.Fatalf("the child says %q", line)
			}
			acknowledged[label] = true
		}
		r := &rig{t: t, dir: dir, url: "sqlite:" + dir + "/onoma.db", now: time.Now}
		r.start(crashSpecs(signed)...)
		checkAfterCrash(t, r, acknowledged)
		if signed {
			r.must(add(exampleID, fmt.Sprintf("round%d.example. 300 IN TXT x", round)))
			r.verified("after the crash")
		}
		n, v, _ := r.Head(exampleID)
		if v != nil && round > 0 && !zone.IsNewer(v.Serial(), lastSerial) {
			t.Errorf("after round %d the serial number is %d, and was %d", round, v.Serial(), lastSerial)
		}
		if v != nil {
			lastSerial = v.Serial()
		}
		log, err := r.Log(context.Background(), exampleID, 0, 1<<20)
		if err != nil || uint64(len(log)) != n {
			t.Errorf("%d versions in the log of version %d, %v", len(log), n, err)
		}
		r.stop()
	}
	if len(acknowledged) == 0 {
		t.Error("nothing was acknowledged in any round")
	}
}

// runAndKill returns what a child process had acknowledged when it was killed.
func runAndKill(t *testing.T, dir string, signed bool, after time.Duration) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	if signed {
		cmd.Env = append(cmd.Env, crashSigned+"=yes")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var lines []string
	s := bufio.NewScanner(out)
	var kill *time.Timer
	for s.Scan() {
		if kill == nil { // from the first acknowledgement on
			kill = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		lines = append(lines, s.Text())
	}
	_ = cmd.Wait() // killed
	return lines
}

func checkAfterCrash(t *testing.T, r *rig, acknowledged map[string]bool) {
	t.Helper()
	here := labels(r.text(exampleID), ".example.")
	there := labels(r.text(otherID), ".other.")
	for label := range acknowledged {
		if !here[label] || !there[label] {
			t.Errorf("%s was acknowledged, and is gone", label)
		}
	}
	for label := range here {
		if !there[label] {
			t.Errorf("%s is in one zone of the two", label)
		}
	}
	if len(here) != len(there) {
		t.Errorf("the zones have %d and %d names", len(here), len(there))
	}
}

func labels(text, suffix string) map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(text) {
		if owner, _, _ := strings.Cut(line, "\t"); strings.HasPrefix(owner, "n") && strings.Contains(line, "\tA\t") {
			out[strings.TrimSuffix(owner, suffix)] = true
		}
	}
	return out
}
