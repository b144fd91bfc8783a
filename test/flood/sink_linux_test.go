package flood

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// Nobody reads the server's standard error: it answers all the same, and triage, which logs when it begins, begins.
func TestLogThatNobodyReads(t *testing.T) {
	r := newRig(t)
	full, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	defer stderr.Close()
	fill(t, stderr)
	p := &process{log: os.DevNull, done: make(chan struct{})}
	p.cmd = exec.Command(program(t), "authority", "--listen", serverAddr.String()+":53", "--zone", "example.com="+plainZone(t), "--threads", "1")
	p.cmd.Stderr = stderr
	if err := p.run(r.server); err != nil {
		t.Fatal(err)
	}
	defer p.stop(t)
	s := scenario{query: question(t, "www.example.com.", dns.TypeA, false), change: forged}
	good := r.good(t, 0, goodClients, goodRate, s.query)
	defer good.end()
	deadline := time.Now().Add(10 * time.Second)
	for good.during(time.Second).share() < 0.9 {
		if time.Now().After(deadline) {
			t.Fatal("the server does not answer")
		}
	}
	good.during(2 * time.Second)
	a := r.begin(t, udpFrame(r.serverMAC, s.query), 0, forged)
	time.Sleep(time.Second)
	// A machine that is busy with something else for a moment says nothing about the log: one good span will do.
	best := 0.0
	for range attempts {
		if best = max(best, good.during(span()).share()); best >= goodShare {
			break
		}
	}
	a.end()
	t.Logf("under a flood good clients keep %.1f %% of their answers", 100*best)
	if best < goodShare {
		t.Errorf("expected %.0f %%", 100*goodShare)
	}
}

// fill writes to a pipe until it takes no more.
func fill(t *testing.T, pipe *os.File) {
	t.Helper()
	raw, err := pipe.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		unix.SetNonblock(int(fd), true)
		for err == nil {
			_, err = unix.Write(int(fd), make([]byte, 512))
		}
		unix.SetNonblock(int(fd), false)
	})
}
