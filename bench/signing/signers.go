//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// signer is a program that signs zone files.
type signer struct {
	name    string
	title   string
	program string // "": ours
	version []string
	// command is how it signs a zone into the file out.
	command func(ctx context.Context, r *rig, z *signedZone, out string, processors int) (*exec.Cmd, error)
}

var signers = []signer{
	{name: "onoma", title: "onoma zone sign", command: onomaSign},
	{name: "knot", title: "kzonesign", program: "kzonesign", version: []string{"-V"}, command: knotSign},
	{name: "bind", title: "dnssec-signzone", program: "dnssec-signzone", version: []string{"-V"}, command: bindSign},
	{name: "ldns", title: "ldns-signzone", program: "ldns-signzone", version: []string{"-v"}, command: ldnsSign},
}

// label is the signer's name with its version.
func (s *signer) label(ctx context.Context, r *rig) string {
	if s.program == "" {
		return s.title
	}
	out, _ := r.command(ctx, 1, false, s.program, s.version...).CombinedOutput() // some end with a status of failure
	for _, word := range strings.Fields(string(out)) {
		if w := strings.Trim(word, "(),"); len(w) > 2 && w[0] >= '0' && w[0] <= '9' && strings.Contains(w, ".") {
			w, _, _ = strings.Cut(w, "-")
			return s.title + " " + w
		}
	}
	return s.title
}

func onomaSign(ctx context.Context, r *rig, z *signedZone, out string, processors int) (*exec.Cmd, error) {
	denial := "nsec"
	if z.isNSEC3 {
		denial = "nsec3-opt-out"
	}
	return r.command(ctx, processors, true, r.o.onoma, "zone", "sign", z.file, "--origin", z.origin, "--key", z.key, "--denial", denial, "--out", out), nil
}

// knotPolicy has kzonesign sign as the others do; it keeps the key that it makes at first.
const knotPolicy = `server:
  rundir: %[1]q
database:
  storage: %[1]q
policy:
  - id: bench
    algorithm: ecdsap256sha256
    single-type-signing: on
    signing-threads: %[2]d
    nsec3: %[3]t
    nsec3-opt-out: %[3]t
    nsec3-iterations: 0
    nsec3-salt-length: 0
    rrsig-lifetime: 14d
    cds-cdnskey-publish: none
zone:
  - domain: %[4]s
    file: %[5]q
    semantic-checks: off
    dnssec-policy: bench
`

func knotSign(ctx context.Context, r *rig, z *signedZone, out string, processors int) (*exec.Cmd, error) {
	dir := filepath.Join(r.scratch, "knot-"+z.name)
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.MkdirAll(out, 0o755)); err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "knot.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, knotPolicy, dir, processors, z.isNSEC3, z.origin, z.file), 0o644); err != nil {
		return nil, err
	}
	return r.command(ctx, processors, false, "kzonesign", "-c", conf, "-o", out, z.origin), nil
}

// bindSign: -P leaves the verification out, -z signs all with one key, -S puts the key into the zone.
func bindSign(ctx context.Context, r *rig, z *signedZone, out string, processors int) (*exec.Cmd, error) {
	args := []string{"-q", "-P", "-z", "-S", "-K", z.dir, "-d", r.scratch, "-n", fmt.Sprint(processors), "-e", "+1209600", "-o", z.origin, "-f", out}
	if z.isNSEC3 {
		args = append(args, "-3", "-", "-H", "0", "-A")
	}
	return r.command(ctx, processors, false, "dnssec-signzone", append(args, z.file)...), nil
}

func ldnsSign(ctx context.Context, r *rig, z *signedZone, out string, processors int) (*exec.Cmd, error) {
	args := []string{"-o", z.origin, "-f", out}
	if z.isNSEC3 {
		args = append(args, "-n", "-p", "-t", "0")
	}
	return r.command(ctx, processors, false, "ldns-signzone", append(args, z.file, z.key)...), nil
}

// resultAt returns the file that a run has left at out, which may be a folder.
func resultAt(out string) (string, error) {
	info, err := os.Stat(out)
	if err != nil || !info.IsDir() {
		return out, err
	}
	files, err := filepath.Glob(filepath.Join(out, "*"))
	if err == nil && len(files) != 1 {
		err = fmt.Errorf("%s has %d files, expected the signed zone", out, len(files))
	}
	if err != nil {
		return "", err
	}
	return files[0], nil
}
