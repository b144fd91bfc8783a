package config

import (
	"testing"
	"time"
)

// TestPolicies: there is always one called default, and what is not given follows from what is.
func TestPolicies(t *testing.T) {
	c, err := Parse("f.yaml", []byte("zones: {example.com: {}}\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, ok := c.FindPolicy(PolicyDefault)
	if !ok || p.Algorithm != "ecdsap256sha256" || p.Refresh != 7*24*time.Hour || p.Jitter <= 0 {
		t.Errorf("the policy default is %+v (%v)", p, ok)
	}
	if got := c.Zones[0].DNSSEC; got != PolicyAuto {
		t.Errorf("a zone that says nothing is signed by %q", got)
	}
	c, err = Parse("f.yaml", []byte("policies: {default: {validity: 30d, key-validity: 20d}, tld: {keys: split, denial: nsec3-opt-out}}\nzones: {example.com: {dnssec: tld}}\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if p, _ := c.FindPolicy(PolicyDefault); len(c.Policies) != 2 || p.Refresh != 10*24*time.Hour || p.Jitter != 3*24*time.Hour {
		t.Errorf("the policy default is %+v, one of %d", p, len(c.Policies))
	}
}
