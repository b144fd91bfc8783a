package importer

import (
	"strings"
	"testing"
)

const knotKey = "key:\n  - id: k\n    algorithm: hmac-sha256\n    secret: AAEC\n"

// TestWhatZonesAllow imports access lists, servers and templates that depend on each
// other: the result has to have each of has, and none of hasNot.
func TestWhatZonesAllow(t *testing.T) {
	for _, c := range []struct {
		what, from, text string
		has, hasNot      []string
	}{
		{
			"a zone's own acl is instead of its template's", "knot",
			knotKey + "acl:\n  - id: all\n    address: 10.0.0.0/8\n    action: [transfer, notify]\n  - id: dyn\n    key: k\n    action: update\n" +
				"template:\n  - id: default\n    acl: all\nzone:\n  - domain: ex.test\n    acl: dyn\n",
			[]string{"transfer-to: [none]\n    allow-notify: [none]"}, nil,
		},
		{
			"nobody may change a zone without the template's acl", "knot",
			knotKey + "acl:\n  - id: x\n    address: 10.0.0.1\n    action: transfer\n  - id: dyn\n    key: k\n    action: update\n" +
				"template:\n  - id: default\n    acl: dyn\nzone:\n  - domain: ex.test\n    acl: x\n",
			[]string{"update: []"}, nil,
		},
		{
			"an acl of a group of remotes", "knot",
			knotKey + "remote:\n  - id: a\n    address: 10.0.0.1\n    key: k\n  - id: b\n    address: 10.0.0.2@54\nremotes:\n  - id: g\n    remote: [a, b]\n" +
				"acl:\n  - id: x\n    remote: g\n    action: transfer\nzone:\n  - domain: ex.test\n    acl: x\n",
			[]string{`transfer-to: ["10.0.0.1+key:k.", 10.0.0.2]`}, nil,
		},
		{
			"ranges of addresses", "knot",
			"acl:\n  - id: no\n    address: 10.0.0.4-10.0.0.6\n    action: transfer\n    deny: on\n  - id: x\n    address: 10.0.0.3-10.0.0.8\n    action: transfer\nzone:\n  - domain: ex.test\n    acl: [no, x]\n",
			[]string{"transfer-to: [10.0.0.3, 10.0.0.7, 10.0.0.8]"}, nil,
		},
		{
			"ranges of addresses that are turned away", "nsd",
			"zone:\n  name: ex.test\n  provide-xfr: 10.0.0.0/29 NOKEY\n  provide-xfr: 10.0.0.1-10.0.0.255 BLOCKED\n",
			[]string{"transfer-to: [10.0.0.0]"}, nil,
		},
		{
			"a primary over TLS", "nsd",
			"server:\n  tls-cert-bundle: /ca.pem\nkey:\n  name: k\n  algorithm: hmac-sha256\n  secret: AAEC\ntls-auth:\n  name: a\n  auth-domain-name: p.example\nzone:\n  name: ex.test\n  request-xfr: 10.0.0.1 k a\n",
			[]string{`tls-10.0.0.1-853:`, `address: ["10.0.0.1:853"]`, "key: k.", "transport: tls", "tls: {mode: strict, name: p.example, ca: /ca.pem}", "primaries: [tls-10.0.0.1-853]"}, nil,
		},
		{
			"a primary over TLS that nothing is known of is not asked in the clear", "nsd",
			"zone:\n  name: ex.test\n  request-xfr: 10.0.0.1 NOKEY absent\n", nil, []string{"10.0.0.1"},
		},
		{
			"a pattern is the template of zones with a file of their own", "nsd",
			"pattern:\n  name: p\n  notify: 10.0.0.2 NOKEY\npattern:\n  name: q\n  notify: 10.0.0.3 NOKEY\nzone:\n  name: ex.test\n  zonefile: /z/own\n  include-pattern: p\n",
			[]string{"p: {notify: [10.0.0.2], dnssec: off}", "ex.test: {template: p, file: /z/own}"}, []string{"q:"},
		},
		{
			"one server with two keys over TLS", "bind",
			"key k { algorithm hmac-sha256; secret \"AAEC\"; };\ntls t { ca-file \"/ca\"; };\nzone a { type secondary; primaries { 10.0.0.1 tls t; }; };\nzone b { type secondary; primaries { 10.0.0.1 key k tls t; }; };\n",
			[]string{"primaries: [tls-10.0.0.1]", "primaries: [tls-10.0.0.1-2]"}, nil,
		},
	} {
		r, err := Import(c.from, "f", inMemory(map[string]string{"f": c.text}))
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		mustParse(t, r.YAML)
		for _, s := range c.has {
			if !strings.Contains(string(r.YAML), s) {
				t.Errorf("%s: no %s in\n%s", c.what, s, r.YAML)
			}
		}
		for _, s := range c.hasNot {
			if strings.Contains(string(r.YAML), s) {
				t.Errorf("%s: %s is in\n%s", c.what, s, r.YAML)
			}
		}
	}
}

// TestServersOfPowerDNS imports ports as it writes them, and those who are told of all zones.
func TestServersOfPowerDNS(t *testing.T) {
	r, err := Import("powerdns", "/f", inMemory(map[string]string{
		"/f": "bind-config=/n\nalso-notify=10.0.0.2:54\n",
		"/n": "zone a { type slave; masters { 10.0.0.1:5353; }; };\nzone b { type master; file \"/b\"; also-notify { 10.0.0.3; }; };\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	mustParse(t, r.YAML)
	for _, want := range []string{`primaries: ["10.0.0.1:5353"]`, `notify: ["10.0.0.2:54", 10.0.0.3]`} {
		if !strings.Contains(string(r.YAML), want) {
			t.Errorf("no %s in\n%s", want, r.YAML)
		}
	}
}
