package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"onoma/dns/zonefile"
	"onoma/zone"
)

const (
	maxOutput  = 4096            // of what the command prints, goes into the refusal
	afterDeath = 5 * time.Second // for children of the command that keep its output open
)

// commands bounds how many run at once: a reload of all zones must not start a
// process for each of them.
var commands = make(chan struct{}, max(2, runtime.GOMAXPROCS(0)))

// command runs the operator's command with new on its standard input. Status 0
// lets new pass; else the reason is the status and what the command has printed.
func (r *Rules) command(ctx context.Context, id zone.ID, old, new *zone.Version, door zone.Door) *zone.Refusal {
	select {
	case commands <- struct{}{}:
		defer func() { <-commands }()
	case <-ctx.Done():
		return r.failed(id, "was not run: "+ctx.Err().Error(), nil)
	}
	timeout := r.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out := &tail{}
	err := run(limited, r.prepare(limited, id, old, new, door, out), new)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return r.failed(id, "was ended: "+ctx.Err().Error(), out)
	case limited.Err() != nil:
		return r.failed(id, fmt.Sprintf("was ended after %v, expected it to be done by then", timeout), out)
	}
	exit := (*exec.ExitError)(nil)
	if errors.As(err, &exit) && exit.Exited() {
		return r.failed(id, fmt.Sprintf("ended with status %d, expected 0", exit.ExitCode()), out)
	}
	return r.failed(id, "failed: "+err.Error(), out)
}

// failed words the refusal.
func (r *Rules) failed(id zone.ID, why string, out *tail) *zone.Refusal {
	reason := "the command " + r.Command[0] + " " + why
	if text := out.text(); text != "" {
		reason += "; it says: " + text
	}
	return &zone.Refusal{Zone: id, Rule: RuleCommand, Reason: reason}
}

// prepare returns the command, which leads a process group of its own: when its
// time is over all that it has started ends with it.
func (r *Rules) prepare(ctx context.Context, id zone.ID, old, new *zone.Version, door zone.Door, out io.Writer) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.Command[0], r.Command[1:]...)
	cmd.Dir = r.Dir
	cmd.Env = append(os.Environ(), "ONOMA_ZONE="+id.Name.String(), "ONOMA_VIEW="+id.View, "ONOMA_DOOR="+string(door),
		"ONOMA_SERIAL="+serial(new), "ONOMA_OLD_SERIAL="+serial(old))
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = afterDeath
	return cmd
}

// serial is the version's serial number, empty where there is no version.
func serial(v *zone.Version) string {
	if v == nil {
		return ""
	}
	return strconv.FormatUint(uint64(v.Serial()), 10)
}

// run runs cmd and writes the zone to it. A command need not read all of that.
func run(ctx context.Context, cmd *exec.Cmd, v *zone.Version) error {
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = zonefile.WriteLines(in, v.Records()) // it has stopped reading: its status counts
		in.Close()
	})
	err = cmd.Wait() // which closes the pipe, so that the writer ends
	wg.Wait()
	if err != nil && ctx.Err() == nil && cmd.ProcessState != nil && cmd.ProcessState.Success() {
		return nil // it has ended well; something that it started holds its output
	}
	return err
}

// tail keeps the last octets that are written to it.
type tail struct {
	mu   sync.Mutex
	buf  []byte
	lost bool
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(b)
	if len(b) > maxOutput {
		b, t.lost = b[len(b)-maxOutput:], true
	}
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - maxOutput; over > 0 {
		t.buf, t.lost = append(t.buf[:0], t.buf[over:]...), true
	}
	return n, nil
}

// text returns what there is as text that is safe in a log and on a terminal.
func (t *tail) text() string {
	if t == nil {
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	clean := strings.Map(func(r rune) rune {
		if r != '\n' && (r < ' ' || r >= 0x7F && r < 0xA0) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(t.buf), "?"))
	clean = strings.TrimSpace(clean)
	if t.lost {
		clean = "... " + clean
	}
	return clean
}
