package transfer

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"onoma/test/peers"
)

// TestTransfersOverEveryTransport: kdig gets the same records over TCP, TLS and QUIC.
func TestTransfersOverEveryTransport(t *testing.T) {
	peers.Need(t, "kdig")
	z := newZone(1, 2000, 3)
	file := t.TempDir() + "/zone"
	z.write(t, file)
	plain, tls, quic := peers.Addr(t), peers.Addr(t), peers.Addr(t)
	peers.StartOnoma(t, plain, "authority", "--zone", zoneName+"="+file, "--transfer-to", "127.0.0.0/8", "--tls-self-signed",
		"--listen", plain.String(), "--listen", "tls://"+tls.String(), "--listen", "quic://"+quic.String())
	want := records(t, plain, nil)
	if len(want) < 2000 {
		t.Fatalf("%d records, expected more", len(want))
	}
	var first []string
	for how, addr := range map[string]string{"+tcp": plain.String(), "+tls": tls.String(), "+quic": quic.String()} {
		host, port, _ := strings.Cut(addr, ":")
		out, err := exec.Command("kdig", "@"+host, "-p", port, how, zoneName, "AXFR", "+noall", "+answer").CombinedOutput()
		if err != nil {
			t.Fatalf("kdig %s: %v\n%s", how, err, out)
		}
		lines := recordLines(string(out))
		if len(lines) != len(want)+1 { // the SOA record is there twice
			t.Errorf("kdig %s shows %d records, expected %d", how, len(lines), len(want)+1)
		}
		if first == nil {
			first = lines
		}
		if !slices.Equal(first, lines) {
			t.Errorf("kdig %s shows other records than over another transport", how)
		}
	}
}

// recordLines are the lines of kdig's output that are records.
func recordLines(out string) (lines []string) {
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); line != "" && line[0] != ';' {
			lines = append(lines, line)
		}
	}
	return lines
}
