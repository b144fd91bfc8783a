package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// The server has processor 0 for itself, the generator processor 1. Load times are taken with both.
const (
	serverCPU    = "0"
	generatorCPU = "1"
	anyCPU       = "0,1"
)

// harness is what all profiles of one run share: where programs are, where zones are kept, a directory for what
// servers write. It is used by one goroutine.
type harness struct {
	o         options
	cache     cache
	scratch   string
	cert, key string
	built     map[string]string // programs that do not come from Debian, by the name of the server or "load"; empty: it failed
	unbuilt   map[string]error
	labels    map[string]string
	dnsperf   generator
}

// newHarness builds what is ours and finds the generator. close ends it.
func newHarness(ctx context.Context, o options) (*harness, error) {
	h := &harness{o: o, cache: cache(o.cache), built: map[string]string{}, unbuilt: map[string]error{}, labels: map[string]string{}}
	if err := os.MkdirAll(o.cache, 0o755); err != nil {
		return nil, err
	}
	var err error
	if h.scratch, err = os.MkdirTemp("", "onoma-bench-"); err != nil {
		return nil, err
	}
	if err := h.prepare(ctx); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *harness) prepare(ctx context.Context) error {
	if err := os.Chmod(h.scratch, 0o755); err != nil {
		return err
	}
	if err := h.prepareRoot(); err != nil {
		return err
	}
	onoma, err := filepath.Abs(h.o.onoma)
	if err != nil {
		return err
	}
	h.built["onoma"] = onoma
	h.build(ctx, "floor", "bench/floor")
	h.build(ctx, "load", "bench/load")
	if slices.Contains(h.o.servers, "coredns") {
		h.build(ctx, "coredns", "bench/coredns")
	}
	if err := errors.Join(h.unbuilt["floor"], h.unbuilt["load"]); err != nil {
		return err
	}
	if err := h.makeCertificate(); err != nil {
		return err
	}
	return h.findDnsperf(ctx)
}

// close removes the scratch directory, and within the newest root the empty one that it was mounted on.
func (h *harness) close() {
	os.RemoveAll(h.scratch)
	if h.o.newest != "" {
		os.Remove(filepath.Join(h.o.newest, h.scratch))
	}
}

// build builds a program of ours in its own folder, which may be another module's. A failure is kept: it leaves one
// server out.
func (h *harness) build(ctx context.Context, name, folder string) {
	root, err := moduleRoot()
	bin := filepath.Join(h.scratch, name)
	if err == nil {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", bin, ".")
		cmd.Dir = filepath.Join(root, folder)
		var out []byte
		if out, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("building %s: %w: %s", folder, err, lastLines(out))
		}
	}
	if err != nil {
		h.unbuilt[name], bin = err, ""
	}
	h.built[name] = bin
}

// moduleRoot is the directory with onoma's go.mod, at or above the current one.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, e := os.Stat(filepath.Join(dir, "bench", "floor")); e == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("bench runs within onoma's source tree: its programs are built from there")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

// prepareRoot makes the directories within the newest root on which those of this machine are mounted.
func (h *harness) prepareRoot() error {
	if h.o.newest == "" {
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("--newest runs programs by chroot, which root may")
	}
	for _, dir := range []string{h.o.cache, h.scratch} {
		if err := os.MkdirAll(filepath.Join(h.o.newest, dir), 0o755); err != nil {
			return err
		}
	}
	return nil
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

// command runs a server's program on the processors named.
func (h *harness) command(ctx context.Context, p peer, cpus string, args ...string) (*exec.Cmd, error) {
	program, err := h.locate(p)
	if err != nil {
		return nil, err
	}
	return h.execute(ctx, cpus, program, p.program != "", args...), nil
}

// execute runs a program, Debian's within the newest root if there is one. The process that it returns becomes the
// program itself: taskset, unshare, sh and chroot each replace themselves.
func (h *harness) execute(ctx context.Context, cpus, program string, debian bool, args ...string) *exec.Cmd {
	line := []string{"-c", cpus}
	if debian && h.o.newest != "" {
		line = append(line, "unshare", "--mount", "--propagation", "private", "sh", "-c", inRoot, "sh", h.o.newest, h.o.cache, h.scratch)
	}
	cmd := exec.CommandContext(ctx, "taskset", append(append(line, program), args...)...)
	cmd.Dir = h.scratch
	dieWithUs(cmd)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// tool runs a program of Debian's to its end.
func (h *harness) tool(name string, args ...string) error {
	program, err := h.installed(name)
	if err != nil {
		return err
	}
	out, err := h.execute(context.Background(), anyCPU, program, true, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, lastLines(out))
	}
	return nil
}

// makeCertificate makes what servers show to TLS clients: P-256, signed by itself, the same for all.
func (h *harness) makeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	h.cert, h.key = filepath.Join(h.scratch, "cert.pem"), filepath.Join(h.scratch, "key.pem")
	return errors.Join(
		os.WriteFile(h.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644),
		os.WriteFile(h.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o644),
	)
}
