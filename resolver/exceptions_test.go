package resolver

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/dns"
)

// TestExceptionsAreKept has a negative trust anchor outlive the process until its
// end, or until the zone validates again, whichever is first.
func TestExceptionsAreKept(t *testing.T) {
	broken := true
	spoil := func(_ dns.Question, a *dns.Message) { // as where the signatures were lost
		isSig := func(r dns.Record) bool { return r.Type == dns.TypeRRSIG }
		if broken {
			a.Answer, a.Authority = slices.DeleteFunc(a.Answer, isSig), slices.DeleteFunc(a.Authority, isSig)
		}
	}
	file := filepath.Join(t.TempDir(), "insecure")
	inSignedWorld(t, Config{}, [2]func(dns.Question, *dns.Message){spoil, spoil}, func(t *testing.T, w *world) {
		cfg := w.r.cfg
		cfg.Anchors, cfg.ExceptionFile = w.r.anchors, file
		start := func() *Resolver {
			r, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		rcode := func(r *Resolver) dns.RCode {
			r.FlushAll()
			res, err := r.Resolve(t.Context(), query("www.example.", dns.TypeA, 0, false).Question(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			return res.RCode
		}
		r := start()
		if got := rcode(r); got != dns.RCodeServFail {
			t.Errorf("a broken zone gives %s", got)
		}
		r.Except(dns.MustName("Example."), time.Now().Add(time.Hour))
		r.Except(dns.MustName("other."), time.Now().Add(12*time.Minute))
		if got := rcode(r); got != dns.RCodeNoError {
			t.Errorf("an excepted zone gives %s", got)
		}
		r.Close()
		r = start()
		if got := rcode(r); got != dns.RCodeNoError || len(r.Exceptions()) != 2 {
			t.Errorf("after a restart %s, %v", got, r.Exceptions())
		}
		time.Sleep(13 * time.Minute) // it was tried twice, and is broken still
		if all := r.Exceptions(); len(all) != 1 {
			t.Errorf("%v, expected the one that is not over", all)
		}
		broken = false
		time.Sleep(6 * time.Minute)
		if all := r.Exceptions(); len(all) != 0 {
			t.Errorf("%v, expected none: the zone is mended", all)
		}
		r.Close()
		text, err := os.ReadFile(file)
		if err != nil || strings.Contains(string(text), "example") {
			t.Errorf("%s %v", text, err)
		}
		if err := os.WriteFile(file, []byte("example. soon\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "insecure:1: ") {
			t.Errorf("a damaged file: %v", err)
		}
	})
}
