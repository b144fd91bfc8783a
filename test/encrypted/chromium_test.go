package encrypted

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"onoma/test/peers"
)

// Chromium, told to resolve by DoH alone, finds a web server by a name that nobody else knows.
func TestChromium(t *testing.T) {
	peers.Need(t, "chromium")
	var visits atomic.Int64
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visits.Add(1)
		fmt.Fprint(w, "<p>found by DoH</p>")
	}))
	defer web.Close()
	_, webPort, _ := net.SplitHostPort(web.Listener.Addr().String())
	s := example(t)
	profile := t.TempDir()
	state, err := json.Marshal(map[string]any{"dns_over_https": map[string]string{"mode": "secure", "templates": s.url() + "{?dns}"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(profile, "Local State"), state, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", "--user-data-dir="+profile,
		"--ignore-certificate-errors", "--dump-dom", "http://ns.enc.example:"+webPort+"/")
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "found by DoH") || visits.Load() == 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
