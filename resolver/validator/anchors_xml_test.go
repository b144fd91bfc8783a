package validator

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// rootXML has the form of IANA's file of 2024, with the keys' own data left out.
const rootXML = `<?xml version="1.0" encoding="UTF-8"?>
<TrustAnchor id="E9724F53-1851-4F86-85E5-F1392102940B" source="http://data.iana.org/root-anchors/root-anchors.xml">
<Zone>.</Zone>
<KeyDigest id="Kjqmt7v" validFrom="2010-07-15T00:00:00+00:00" validUntil="2019-01-11T00:00:00+00:00">
<KeyTag>19036</KeyTag>
<Algorithm>8</Algorithm>
<DigestType>2</DigestType>
<Digest>49AAC11D7B6F6446702E54A1607371607A1A41855200FD2CE1CDDE32F24E8FB5</Digest>
</KeyDigest>
<KeyDigest id="Klajeyz" validFrom="2017-02-02T00:00:00+00:00">
<KeyTag>20326</KeyTag>
<Algorithm>8</Algorithm>
<DigestType>2</DigestType>
<Digest>E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D</Digest>
<PublicKey>AwEAAaz</PublicKey>
<Flags>257</Flags>
</KeyDigest>
<KeyDigest id="Kmyv6jo" validFrom="2024-07-18T00:00:00+00:00">
<KeyTag>38696</KeyTag>
<Algorithm>8</Algorithm>
<DigestType>2</DigestType>
<Digest>683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16</Digest>
</KeyDigest>
</TrustAnchor>
`

// TestXMLAnchors reads IANA's form: the keys that are valid at the time, which are
// those that are built in.
func TestXMLAnchors(t *testing.T) {
	for date, want := range map[string]string{"2012-01-01": "19036", "2018-01-01": "19036 20326", "2019-01-11": "20326", "2026-09-01": "20326 38696", "2009-01-01": ""} {
		at, err := time.Parse(time.DateOnly, date)
		if err != nil {
			t.Fatal(err)
		}
		anchors, err := ParseXMLAnchors([]byte(rootXML), at)
		var tags []string
		for _, a := range anchors {
			tags = append(tags, strings.Fields(a.String())[4])
		}
		if got := strings.Join(tags, " "); got != want || err != nil {
			t.Errorf("%s: %s %v, expected %s", date, got, err, want)
		}
	}
	file := filepath.Join(t.TempDir(), "root-anchors.xml")
	if err := os.WriteFile(file, []byte("\ufeff"+rootXML), 0o600); err != nil {
		t.Fatal(err)
	}
	anchors, err := ReadAnchors(file)
	if err != nil || len(anchors) != 2 {
		t.Fatal(anchors, err)
	}
	for i, want := range RootAnchors() {
		if anchors[i].String() != want.String() {
			t.Errorf("%s\n%s", anchors[i], want)
		}
	}
	for broken, why := range map[string]string{
		strings.Replace(rootXML, "<Zone>.</Zone>", "<Zone>..</Zone>", 1): "zone",
		strings.Replace(rootXML, "E06D44", "E06D4", 1):                   "key 20326: digest",
		strings.Replace(rootXML, "2017-02-02T", "2017-02-02 ", 1):        "validFrom",
		strings.Replace(rootXML, "<KeyTag>38696", "<KeyTag>70000", 1):    "line 19",
		strings.Replace(rootXML, "</TrustAnchor>", "", 1):                "line ",
		rootXML + rootXML: "more than one",
	} {
		if _, err := ParseXMLAnchors([]byte(broken), time.Now()); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v, expected something about %q", err, why)
		}
	}
}

// FuzzXMLAnchors has no input end in more than an error.
func FuzzXMLAnchors(f *testing.F) {
	f.Add([]byte(rootXML))
	f.Add([]byte("<TrustAnchor><Zone>a.</Zone><KeyDigest><Digest>00</Digest></KeyDigest></TrustAnchor>"))
	f.Fuzz(func(t *testing.T, text []byte) {
		anchors, err := ParseXMLAnchors(text, time.Unix(1_700_000_000, 0))
		if err != nil && len(anchors) > 0 {
			t.Errorf("%d anchors and %v", len(anchors), err)
		}
		for _, a := range anchors {
			if _, ok := anchorOf(a); !ok {
				t.Errorf("%s is no anchor", a)
			}
		}
	})
}
