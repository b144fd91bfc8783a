package lab

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestPageOfTheRealLab: a person asks on the page and sees the servers that were
// asked; then registers a domain there. ONOMA_SCREENSHOTS names a folder for a picture.
func TestPageOfTheRealLab(t *testing.T) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed (Debian package chromium)")
	}
	l := start(t, t.TempDir())
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1480, 900),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()

	do := func(steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatal(err)
		}
	}
	do(chromedp.Navigate(l.State().Console), chromedp.WaitVisible("#link.live"), chromedp.WaitVisible("#scene .root"))
	drawn, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("#scene").textContent`))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"guru", "Acropolis Hosting", "\u2713 thedns.guru", "\u2717 dried-ink.org", "Cloudfront CDN"} {
		if !strings.Contains(drawn, want) {
			t.Errorf("the picture does not have %q:\n%s", want, drawn)
		}
	}

	do(chromedp.SetValue("#ask-name", "www.palettepalapp.com"), chromedp.Click("#ask button"), chromedp.WaitVisible("#scene .bubble.answer"))
	if dir := os.Getenv("ONOMA_SCREENSHOTS"); dir != "" {
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "lab.png"), picture, 0o644); err != nil {
			t.Error(err)
		}
	}
	answer, err := chromedp.Run(ctx, chromedp.Text("#answer"))
	if err != nil || !strings.Contains(answer, "198.18.7.10") || !strings.Contains(answer, "insecure") {
		t.Errorf("the answer shows %q (%v), expected an address, and that the CDN does not sign", answer, err)
	}

	do(
		chromedp.SendKeys("#register input[name=name]", "frompage.guru"),
		chromedp.SendKeys("#register input[name=ns]", "ns1.acropolis-dns.net, ns2.acropolis-dns.org"),
		chromedp.Click("#register button:not([name])"),
		chromedp.WaitVisible("#register output:not(:empty)"))
	if got := l.ask(t, l.State().TLDs["guru"][0], false, "frompage.guru", "NS").Message; len(got.Authority) != 2 {
		t.Errorf("the registry refers to %v, expected the two name servers from the page", got.Authority)
	}
	told := ""
	for began := time.Now(); time.Since(began) < 30*time.Second && !strings.Contains(told, "secure, by key"); time.Sleep(20 * time.Millisecond) {
		if told, err = chromedp.Run(ctx, chromedp.Text("#register output")); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(told, "secure, by key ECDSAP256SHA256") {
		began := time.Now()
		now, err := l.Security(t.Context(), "frompage.guru")
		t.Errorf("the page says %q, expected that the domain is secure; the lab itself says %+v (%v) after %v", told, now, err, time.Since(began))
	}
}
