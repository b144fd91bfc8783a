//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/dnssec/keyfile"
	"onoma/zone/zonegen"
)

// rig is where everything lies. The measured processes inherit the peak of our memory, so that this one stays small.
type rig struct {
	o       options
	scratch string
}

func newRig(o options) (*rig, error) {
	for _, path := range []*string{&o.onoma, &o.cache, &o.newest} {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return nil, err
		}
		*path = abs
	}
	if err := os.MkdirAll(o.cache, 0o755); err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp("", "onoma-signing-")
	if err != nil {
		return nil, err
	}
	r := &rig{o: o, scratch: scratch}
	return r, errors.Join(os.Chmod(scratch, 0o755), r.prepareRoot())
}

// prepareRoot makes the directories within the newest root on which those of this machine are mounted.
func (r *rig) prepareRoot() error {
	if r.o.newest == "" {
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("-newest runs programs by chroot, which root may")
	}
	return errors.Join(os.MkdirAll(filepath.Join(r.o.newest, r.o.cache), 0o755), os.MkdirAll(filepath.Join(r.o.newest, r.scratch), 0o755))
}

func (r *rig) close() {
	os.RemoveAll(r.scratch)
	if r.o.newest != "" {
		os.Remove(filepath.Join(r.o.newest, r.scratch))
	}
}

// inRoot is the shell command that makes the cache and the scratch directory visible at their own paths within a root
// directory, and becomes the program. The mounts are of a namespace of its own and go with it.
const inRoot = `set -e
root=$1 cache=$2 scratch=$3
shift 3
mount --bind "$cache" "$root$cache"
mount --bind "$scratch" "$root$scratch"
mount -t proc proc "$root/proc"
exec chroot "$root" "$@"`

// command runs a program on the first processors, another's within the newest root if there is one.
func (r *rig) command(ctx context.Context, processors int, isOurs bool, program string, args ...string) *exec.Cmd {
	line := []string{"-c", fmt.Sprintf("0-%d", processors-1)}
	if !isOurs && r.o.newest != "" {
		line = append(line, "unshare", "--mount", "--propagation", "private", "sh", "-c", inRoot, "sh", r.o.newest, r.o.cache, r.scratch)
	}
	cmd := exec.CommandContext(ctx, "taskset", append(append(line, program), args...)...)
	cmd.Dir = r.scratch
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// isThere reports whether a program of Debian's is installed.
func (r *rig) isThere(program string) bool {
	if r.o.newest == "" {
		_, err := exec.LookPath(program)
		return err == nil
	}
	for _, dir := range []string{"usr/bin", "usr/sbin"} {
		if _, err := os.Stat(filepath.Join(r.o.newest, dir, program)); err == nil {
			return true
		}
	}
	return false
}

// finish runs a command to its end and says what it took.
func finish(cmd *exec.Cmd) (cost, error) {
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		text := strings.TrimSpace(string(out))
		return cost{}, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, text[max(0, len(text)-300):])
	}
	u := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return cost{CPU: seconds(u.Utime) + seconds(u.Stime), Wall: time.Since(began).Seconds(), Memory: u.Maxrss << 10}, nil
}

func seconds(t syscall.Timeval) float64 { return time.Duration(t.Nano()).Seconds() }

// signedZone is a zone file and how it is signed.
type signedZone struct {
	name, title string
	origin      string
	file        string
	key         string // in BIND's files: how they begin
	dir         string // what the key lies in
	isNSEC3     bool   // with opt-out
}

// open returns the path of a kept file, which fill writes when there is none yet.
func (r *rig) open(name string, fill func(w *bufio.Writer) error) (string, error) {
	path := filepath.Join(r.o.cache, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	f, err := os.CreateTemp(r.o.cache, name+"-part-")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	w := bufio.NewWriterSize(f, 1<<20)
	if err := errors.Join(fill(w), w.Flush(), f.Chmod(0o644), f.Close()); err != nil {
		return "", err
	}
	return path, os.Rename(f.Name(), path)
}

// tld is the TLD of the other profiles.
func (r *rig) tld(n int) (*signedZone, error) {
	z := &signedZone{name: "tld", title: fmt.Sprintf("A TLD with %d delegations, 30 %% with DS: NSEC3 with opt-out", n), origin: "tld.", isNSEC3: true}
	var err error
	z.file, err = r.open(fmt.Sprintf("signing-tld-%d-v1", n), func(w *bufio.Writer) error {
		return zonegen.TLD{Origin: dns.MustName(z.origin), Delegations: n, Seed: 1}.WriteZone(w)
	})
	return z, errors.Join(err, r.makeKey(z))
}

// hosts is a zone all of whose names are signed.
func (r *rig) hosts(n int) (*signedZone, error) {
	z := &signedZone{name: "hosts", title: fmt.Sprintf("A zone with %d names, an address each: NSEC, all signed", n), origin: "example.com."}
	var err error
	z.file, err = r.open(fmt.Sprintf("signing-hosts-%d-v1", n), func(w *bufio.Writer) error {
		fmt.Fprint(w, "$ORIGIN example.com.\n$TTL 3600\n@ SOA ns1 hostmaster 1 7200 900 1209600 300\n@ NS ns1\nns1 A 192.0.2.1\n")
		for i := range n {
			fmt.Fprintf(w, "host%07d A 10.%d.%d.%d\n", i, i>>16, i>>8&255, i&255)
		}
		return nil
	})
	return z, errors.Join(err, r.makeKey(z))
}

// makeKey makes the one key of a zone, in BIND's files.
func (r *rig) makeKey(z *signedZone) error {
	z.dir = filepath.Join(r.scratch, "key-"+z.name)
	if err := os.Mkdir(z.dir, 0o755); err != nil {
		return err
	}
	k, err := dnssec.GenerateKey(nil, dnssec.ECDSAP256SHA256, 0, dns.DNSKEYZone|dns.DNSKEYSEP)
	if err != nil {
		return err
	}
	since := time.Now().Add(-time.Hour) // BIND wants to know
	z.key, err = keyfile.Write(z.dir, dns.MustName(z.origin), k, keyfile.Meta{Times: keyfile.Times{Created: since, Publish: since, Activate: since}})
	return err
}

// countSignatures counts the RRSIG records in a zone file in whatever layout: the type, the one that it covers, and then
// the algorithm.
func countSignatures(path string) (n int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	sc := bufio.NewScanner(bufio.NewReaderSize(f, 1<<20))
	sc.Split(bufio.ScanWords)
	var before, last string
	for sc.Scan() {
		word := sc.Text()
		if before == "RRSIG" && word == "13" {
			n++
		}
		before, last = last, word
	}
	if err := sc.Err(); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if n == 0 {
		return 0, fmt.Errorf("%s has no signatures", path)
	}
	return n, nil
}
