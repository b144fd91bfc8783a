//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/zonefile"
	"onoma/zone"
	"onoma/zone/sign"
)

// inside is signing in memory and bare signatures, in turns.
type inside struct {
	Processors int       `json:"processors"`
	Signatures int       `json:"signatures"`
	Records    int       `json:"records"`
	Octets     int       `json:"octets"` // of the signed zone in memory
	Whole      []float64 `json:"whole_cpu_seconds"`
	Bare       []float64 `json:"bare_cpu_seconds"`
	WholeWall  []float64 `json:"whole_wall_seconds"`
	BareWall   []float64 `json:"bare_wall_seconds"`
}

// inside runs this program anew to measure a zone in memory.
func (r *rig) inside(ctx context.Context, z *signedZone, processors int) (*inside, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := r.command(ctx, processors, true, self, "-inside", z.file, "-rounds", fmt.Sprint(r.o.rounds))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("signing %s in memory: %w", z.file, err)
	}
	var in inside
	return &in, json.Unmarshal(out, &in)
}

// measureInside is what that run does.
func measureInside(ctx context.Context, o options) error {
	debug.SetGCPercent(25) // as onoma zone sign has it
	v, err := loadTLD(o.inside)
	if err != nil {
		return err
	}
	k, err := dnssec.GenerateKey(nil, dnssec.ECDSAP256SHA256, 0, dns.DNSKEYZone|dns.DNSKEYSEP)
	if err != nil {
		return err
	}
	p := &sign.Plan{
		Keys:   []sign.Key{{Key: k, SignsKeys: true, SignsZone: true}},
		Apex:   []dns.Record{{Name: v.Origin(), Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 3600, Data: k.RData()}},
		Denial: sign.Denial{Kind: sign.NSEC3, OptOut: true}, Skew: time.Hour,
	}
	in := inside{Processors: runtime.GOMAXPROCS(0)}
	for range o.rounds {
		runtime.GC()
		start := now()
		signed, report, err := p.Whole(ctx, v, time.Now())
		if err != nil {
			return err
		}
		whole := now().less(start)
		in.Signatures = report.Signatures
		in.Records, in.Octets = signed.Stats().Records, signed.Stats().Bytes
		signed = nil
		runtime.GC()
		start = now()
		if err := signBare(k, report.Signatures); err != nil {
			return err
		}
		bare := now().less(start)
		in.Whole, in.WholeWall = append(in.Whole, whole.CPU), append(in.WholeWall, whole.Wall)
		in.Bare, in.BareWall = append(in.Bare, bare.CPU), append(in.BareWall, bare.Wall)
	}
	return json.NewEncoder(os.Stdout).Encode(in)
}

// loadTLD reads a file that the rig has made: its name says of which zone.
func loadTLD(path string) (*zone.Version, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	origin := dns.MustName("tld.")
	v, _, err := zone.Load(zonefile.NewReader(f, zonefile.Options{Origin: origin}), origin)
	if v == nil {
		return nil, fmt.Errorf("%s is no zone: %w", path, err)
	}
	return v, nil
}

// signBare makes n signatures of as many octets as those of a TLD are mostly over, on all processors: digest, signature,
// and its form in RRSIG, the quickest way that the keys have.
func signBare(k *dnssec.Key, n int) error {
	workers := runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			var data [140]byte
			var sig []byte
			for i := w; i < n && errs[w] == nil; i += workers {
				sig, errs[w] = k.Sign(sig[:0], data[:])
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// moment is times of the processor and on the wall.
type moment struct {
	cpu  float64
	wall time.Time
}

func now() moment {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it fails for wrong arguments only
	}
	return moment{seconds(u.Utime) + seconds(u.Stime), time.Now()}
}

func (m moment) less(start moment) cost {
	return cost{CPU: m.cpu - start.cpu, Wall: m.wall.Sub(start.wall).Seconds()}
}
