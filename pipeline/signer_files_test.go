package pipeline

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/dns"
	"onoma/pipeline/files"
	"onoma/zone"
	"onoma/zone/sign"
)

// door returns a door on the file of example. for the Pipeline of r.
func (r *rig) door(t *testing.T, z files.Zone) *files.Door {
	z.ID = exampleID
	d := files.New(files.Options{Submit: r.Submit, Head: r.Head, Authored: r.Authored, WriteAfter: time.Millisecond})
	must(t, d.Configure([]files.Zone{z}))
	r.Listen(d.Published)
	return d
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
	must(t, os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)))
}

// A file of a zone that is signed here says what its authors want: no signature of it
// counts, nor does its serial number stop the one that is served.
func TestFileOfSignedZone(t *testing.T) {
	r, _ := signedRig(t, sign.Denial{Kind: sign.NSEC})
	path := filepath.Join(t.TempDir(), "example.zone")
	const top = "example. 300 IN SOA ns.example. root.example. 7 3600 600 86400 300\nexample. 300 IN NS ns.elsewhere.test.\n"
	d := r.door(t, files.Zone{Path: path, Mode: files.Reload})
	write(t, path, top)
	if s := d.Reload(t.Context())[0]; s.Status != files.Good || s.Serial != 7 || len(s.Notes) != 0 {
		t.Errorf("the first file: %+v", s)
	}
	r.verified("first")
	r.now = func() time.Time { return time.Now().Add(11 * 24 * time.Hour) }
	r.must(resign())
	_, before, _ := r.Head(exampleID)
	write(t, path, "; a remark\n"+top)
	if s := d.Reload(t.Context())[0]; s.Status != files.Good || s.Changed || s.Serial != 8 || len(s.Problems) > 0 {
		t.Errorf("a remark in the file: %+v", s)
	}
	var signed strings.Builder
	for rec := range before.Records() {
		signed.WriteString(rec.String() + "\n")
	}
	write(t, path, strings.Replace(signed.String(), "ns.elsewhere.test.", "ns2.elsewhere.test.", 1))
	s := d.Reload(t.Context())[0]
	if s.Status != files.Good || !s.Changed || !strings.Contains(strings.Join(s.Notes, "\n"), "DNSSEC records were left out") {
		t.Errorf("a file that is signed: %+v", s)
	}
	if v := r.verified("a file that is signed"); !strings.Contains(textOf(v), "ns2.elsewhere.test.") {
		t.Errorf("what has changed in the file has not here:\n%s", textOf(v))
	}
}

// What is written back is what an author would write.
func TestWriteBackOfSignedZone(t *testing.T) {
	r, _ := signedRig(t, sign.Denial{Kind: sign.NSEC3})
	path := filepath.Join(t.TempDir(), "example.zone")
	write(t, path, "example. 300 IN SOA ns.example. root.example. 7 3600 600 86400 300\nexample. 300 IN NS ns.elsewhere.test.\n")
	d := r.door(t, files.Zone{Path: path, Mode: files.Initial, WriteBack: true})
	d.Reload(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = d.Run(ctx) })
	defer running.Wait()
	defer cancel()
	r.must(add(exampleID, "www.example. 300 IN A 192.0.2.1"))
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(readFile(t, path), "192.0.2.1") {
		if time.Now().After(deadline) {
			t.Fatalf("the file is\n%s", readFile(t, path))
		}
		time.Sleep(5 * time.Millisecond)
	}
	v, _, err := zone.LoadFile(path, exampleID.Name)
	must(t, err)
	if v.Serial() != 8 || v.Stats().Records != 3 || v.Apex().Has(dns.TypeDNSKEY) {
		t.Errorf("the file has\n%s", readFile(t, path))
	}
}
