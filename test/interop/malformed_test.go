package interop

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"onoma/test/peers"
)

// otherReactions are those that a peer, in some version of it, has to a malformed option, and why ours is another.
var otherReactions = map[string]string{
	"nsd: second cookie of 3: FORMERR":  others,
	"knot: second cookie of 3: FORMERR": others,
	"bind: second cookie of 3: FORMERR": others,

	"nsd: keepalive with a time: NOERROR":  empty,
	"knot: keepalive with a time: NOERROR": empty,
	"bind: keepalive with a time: NOERROR": empty,

	"knot: cookie of 16, not one of ours: BADCOOKIE": required,
	"knot: cookie of 40, not one of ours: BADCOOKIE": required,
	"bind: cookie of 16, not one of ours: BADCOOKIE": required,
	"bind: cookie of 40, not one of ours: BADCOOKIE": required,

	"bind: EXPIRE of 3: FORMERR":                        understood,
	"bind: client subnet of an unknown family: FORMERR": understood,
	"bind: client subnet of 33 bits: FORMERR":           understood,
	"bind: client subnet with bits behind it: FORMERR":  understood,
	"bind: client subnet of 1 octet: FORMERR":           understood,
	"bind: key tags of 3 octets: FORMERR":               understood,
	"bind: extended error in a query: FORMERR":          understood,
	"bind: version 1 with a malformed cookie: FORMERR":  "RFC 6891 §6.1.3 leaves what a later version has in its options to that version",
	"bind: bad cookie without a question: NOERROR":      confirm,
	"nsd: bad cookie without a question: NOERROR":       confirm,
	"nsd: OPT without a question or a cookie: NOERROR":  "RFC 7873 §5.4 allows a query without a question where there is a cookie",
	"knot: cookie without a question: FORMERR":          "Knot has no queries for nothing but a cookie (RFC 7873 §5.4)",
	"knot: bad cookie without a question: FORMERR":      "Knot has no queries for nothing but a cookie (RFC 7873 §5.4)",
	"knot: OPT of a name: NOERROR":                      "RFC 6891 §6.1.2: the name MUST be the root's",
}

const (
	others     = "RFC 7873 §5.2: all COOKIE options but the first are ignored, so their length is, too"
	empty      = "RFC 7828 §3.2.1: a query's option is empty; the RFC does not say what to do with another, and they ignore it"
	required   = "it is configured to require cookies (RFC 7873 §5.2.4), we are not"
	understood = "BIND checks the form of options that it knows; to us these say nothing (RFC 6891 §6.1.2)"
	confirm    = "RFC 7873 §5.4: BADCOOKIE tells a client that its server cookie is no good"
)

// TestMalformedOptions sends authority/testdata/malformed/edns.txt to us and to those that have cookies, over UDP and TCP.
// We must do what the rows say; each peer that does something else is explained.
func TestMalformedOptions(t *testing.T) {
	zones := malformedZone(t)
	rows := malformedRows(t)
	addr := peers.Addr(t)
	ours := peers.StartOnoma(t, addr, "authority", "--listen", addr.String(), "--zone", zones[0].Name+"="+zones[0].File, "--nsid", "n")
	for _, row := range rows {
		if got := row.reaction(t, ours); got != row.want {
			t.Errorf("%s: we answer by %s, %s wants %s", row.name, got, row.rfc, row.want)
		}
	}
	for _, p := range []*peers.Peer{peers.NSD, peers.Knot, peers.BIND} {
		t.Run(p.Name, func(t *testing.T) {
			s := p.WithCookies(sharedSecret).Start(t, zones, p.Addr(t))
			for _, row := range rows {
				got := row.reaction(t, s)
				if got == row.want {
					continue
				}
				key := p.Name + ": " + row.name + ": " + got
				if otherReactions[key] == "" {
					t.Errorf("%q is not explained (we: %s, %s)", key, row.want, row.rfc)
				}
			}
		})
	}
}

// malformedRow is one line of the file.
type malformedRow struct {
	name, rfc, proto, want string
	msg                    []byte
}

func malformedRows(t *testing.T) (rows []malformedRow) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(peers.ModuleRoot(), "authority", "testdata", "malformed", "edns.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), " | ")
		if len(f) == 5 && (f[2] == "udp" || f[2] == "tcp") {
			rows = append(rows, malformedRow{f[0], f[1], f[2], f[3], malformedMessage(t, f[4])})
		}
	}
	if len(rows) < 24 {
		t.Fatalf("%d rows, expected at least 24", len(rows))
	}
	return rows
}

// malformedMessage makes the message that the head of the file describes.
func malformedMessage(t *testing.T, text string) []byte {
	t.Helper()
	const question = "03777777076578616d706c650000010001"
	kind, text, _ := strings.Cut(text, " ")
	if kind == "option" {
		code, data, _ := strings.Cut(text, " ")
		n, err := strconv.Atoi(code)
		if err != nil {
			t.Fatal(err)
		}
		text = fmt.Sprintf("%04x%04x%s", n, len(data)/2, data)
	}
	if kind != "wire" {
		options := strings.ReplaceAll(text, " ", "")
		text = "000700000001000000000001 Q 00002904d000000000" + fmt.Sprintf("%04x", len(options)/2) + options
	}
	msg, err := hex.DecodeString(strings.NewReplacer("Q", question, " ", "").Replace(text))
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func malformedZone(t *testing.T) peers.Zones {
	t.Helper()
	file := filepath.Join(t.TempDir(), "example.zone")
	text := "$TTL 300\n@ SOA ns hostmaster 1 7200 900 1209600 60\n@ NS ns\nns A 192.0.2.53\nwww A 192.0.2.80\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return peers.Zones{{Name: "example.", File: file}}
}

// reaction is the code of the server's answer, or "no answer".
func (r *malformedRow) reaction(t *testing.T, s *peers.Server) string {
	t.Helper()
	c := &client{server: s}
	defer c.close()
	var answer []byte
	var err error
	if r.proto == "tcp" {
		answer, err = c.overTCP(r.msg)
	} else if err = c.send(r.msg); err == nil {
		answer, err = c.receive(r.msg)
	}
	if err != nil {
		return "no answer"
	}
	m, err := unpack(answer)
	if err != nil {
		return "an answer that does not parse"
	}
	if m.Rcode == dns.RcodeBadVers {
		return "BADVERS" // which is BADSIG elsewhere
	}
	return dns.RcodeToString[m.Rcode]
}
