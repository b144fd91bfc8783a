package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"onoma/dns"
)

// TestProgress: nothing for a second, then a bar with the zone's name, which is
// gone at the end.
func TestProgress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(path, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		begun := time.Now()
		p := startProgress(&out, []zoneFile{{dns.MustName("example.com"), path}}, func() bool { return time.Since(begun) > barAfter })
		read := p.file()
		for range 9 {
			time.Sleep(barAfter / 10)
			read(1<<20, 4<<20)
		}
		if out.Len() > 0 {
			t.Errorf("within a second there is %q", &out)
		}
		time.Sleep(barAfter)
		read(2<<20, 4<<20)
		if s := out.String(); !strings.Contains(s, "reading example.com.") || !strings.Contains(s, "50%") || !strings.Contains(s, "4.2 MB") {
			t.Errorf("later there is %q, expected the zone, 50%% and 4.2 MB", s)
		}
		p.zoneDone()
		p.end()
		if last := out.String()[strings.LastIndexByte(out.String(), '\r')+1:]; strings.TrimSpace(last) != "" {
			t.Errorf("%q is left on the line", last)
		}
	})
}

func TestNoProgressWithoutTerminal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if newProgress(f, nil) != nil || newProgress(&bytes.Buffer{}, nil) != nil {
		t.Error("there is a bar in a log")
	}
	var none *progress
	if none.file() != nil {
		t.Error("without a bar the loader is asked for progress")
	}
	none.zoneDone()
	none.end()
}
