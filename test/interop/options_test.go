package interop

import (
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"onoma/test/peers"
)

// TestOptionsOfClients: what dig and kdig make of the options that they ask for, over UDP, TCP and TLS.
func TestOptionsOfClients(t *testing.T) {
	zones := cookieZone(t)
	addr, tls := peers.Addr(t), peers.Addr(t)
	peers.StartOnoma(t, addr, "authority", "--listen", addr.String(), "--listen", "tls://"+tls.String(), "--tls-self-signed",
		"--zone", zones[0].Name+"="+zones[0].File, "--nsid", "0x6f6e6f6d61", "--report-agent", "errors.example.net", "--server-id", "here")
	plain := []string{"@" + addr.Addr().String(), "-p", strconv.Itoa(int(addr.Port())), "cookies.test"}
	encrypted := []string{"@" + tls.Addr().String(), "-p", strconv.Itoa(int(tls.Port())), "+tls", "cookies.test"}
	for _, c := range []struct {
		name  string
		args  []string
		want  string // a regular expression
		never string
	}{
		{"dig NSID", append(plain, "SOA", "+nsid"), `NSID: 6f 6e 6f 6d 61 \("onoma"\)`, "KEEPALIVE"},
		{"dig EXPIRE", append(plain, "SOA", "+expire"), `EXPIRE: 1209600`, ""},
		{"dig EXPIRE of no SOA", append(plain, "NS", "+expire"), `status: NOERROR`, "EXPIRE"},
		{"dig keepalive", append(plain, "SOA", "+tcp", "+keepalive"), `TCP KEEPALIVE: 10\.0 secs`, "PAD"},
		{"dig keepalive over UDP", append(plain, "SOA", "+notcp", "+keepalive"), `status: NOERROR`, "KEEPALIVE"},
		{"dig padding over TLS", append(encrypted, "SOA", "+padding=128", "+keepalive"), `(?s)TCP KEEPALIVE: 10\.0 secs.*PAD.*MSG SIZE  rcvd: 468\n`, ""},
		{"dig padding over UDP", append(plain, "SOA", "+padding=128"), `status: NOERROR`, "PAD"},
		{"dig client subnet", append(plain, "SOA", "+subnet=192.0.2.0/24"), `status: NOERROR`, "CLIENT-SUBNET"},
		{"dig report channel", append(plain, "SOA"), `OPT=18: 06 65 72 72 6f 72 73 07`, ""},
		{"dig zone version", append(plain, "SOA", "+ednsopt=19"), `OPT=19: 02 00 00 00 00 01`, ""},
		{"dig unknown option and version", append(plain, "SOA", "+edns=7", "+noednsneg", "+ednsopt=65001:0102"), `status: BADVERS`, "OPT=65001"},
		{"kdig padding over TLS", append(encrypted, "SOA", "+padding=64"), `(?s)PADDING: .*Received 468 B`, ""},
		{"kdig NSID", append(plain, "SOA", "+nsid"), `NSID: 6F6E6F6D61 "onoma"`, ""},
		{"dig id.server", append(plain[:3:3], "id.server", "CH", "TXT", "+short"), `"here"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			binary, _, _ := strings.Cut(c.name, " ")
			peers.Need(t, binary)
			out, err := exec.Command(binary, c.args...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			answer := string(out)
			if !regexp.MustCompile(c.want).MatchString(answer) {
				t.Errorf("no %q in\n%s", c.want, answer)
			}
			if c.never != "" && strings.Contains(answer, c.never) {
				t.Errorf("%q in\n%s", c.never, answer)
			}
		})
	}
}
