package console

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browser starts Debian's Chromium with an empty profile, or skips the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed (Debian package chromium)")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1480, 1500),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// do runs steps in the browser.
func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// see reads something from the page.
func see[T any](t *testing.T, ctx context.Context, what chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, what)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// screenshot keeps a picture of the page where ONOMA_SCREENSHOTS names a folder.
func screenshot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("ONOMA_SCREENSHOTS")
	if dir == "" {
		return
	}
	if err := os.WriteFile(dir+"/"+name, see(t, ctx, chromedp.FullScreenshot(100)), 0o644); err != nil {
		t.Error(err)
	}
}

func TestPageInChromium(t *testing.T) {
	ctx := browser(t)
	lab := newFakeLab()
	srv := httptest.NewServer(New(lab))
	t.Cleanup(srv.Close)

	do(t, ctx, chromedp.Navigate(srv.URL), chromedp.WaitVisible("#link.live"), chromedp.WaitVisible("#scene .root"))
	if n := see(t, ctx, chromedp.Evaluate[int](`document.querySelectorAll("#scene .root").length`)); n != 13 {
		t.Errorf("%d root servers drawn, want 13", n)
	}

	do(t, ctx, chromedp.Click("#ask button"), chromedp.WaitVisible("#scene .bubble.answer"))
	screenshot(t, ctx, "console.png")
	if got, want := see(t, ctx, chromedp.Text("#answer")), "www.thedns.guru 300 IN A 203.0.113.42\n(1.2 ms)"; got != want {
		t.Errorf("the answer shows %q, want %q", got, want)
	}
	// What came from the network is shown as text: a tag in it is no tag.
	if got, want := see(t, ctx, chromedp.Text("#events li:first-child .said")), "<b>www.thedns.guru</b> A 203.0.113.42"; got != want {
		t.Errorf("the list shows %q, want %q", got, want)
	}
	if n := see(t, ctx, chromedp.Evaluate[int](`document.querySelectorAll("#events b, #scene b").length`)); n != 0 {
		t.Errorf("%d elements came out of the network's words", n)
	}

	do(t, ctx, chromedp.SetValue("#ask-name", "bad..name"), chromedp.Click("#ask button"), chromedp.WaitVisible("#answer.bad"))
	if got, want := see(t, ctx, chromedp.Text("#answer")), `"bad..name" is no name: empty label`; got != want {
		t.Errorf("the error shows %q, want %q", got, want)
	}

	do(t, ctx,
		chromedp.SendKeys("#register input[name=name]", "new.guru"),
		chromedp.SendKeys("#register input[name=ns]", "ns1.p0.net, ns2.p0.org"),
		chromedp.Click("#register button:not([name])"),
		chromedp.WaitVisible("#register output:not(:empty)"))
	lab.mu.Lock()
	if got := see(t, ctx, chromedp.Text("#register output")); !strings.HasPrefix(got, "done: new.guru") || len(lab.register.NS) != 2 || lab.register.NS[1] != "ns2.p0.org" {
		t.Errorf("the page says %q, the lab got %+v", got, lab.register)
	}
	lab.mu.Unlock()
	// The page goes on to tell how the domain stands.
	said := `document.querySelector("#register output").textContent.endsWith("secure, by key ED25519 1234")`
	if !see(t, ctx, chromedp.Poll[bool](said)) {
		t.Error("the page does not say that the domain is secure")
	}
}
