package delegation

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
)

func TestDSYNC(t *testing.T) {
	p := Policy{DS: true, CSYNC: true}
	list, err := p.DSYNC(dns.MustName("tld."), Endpoint{Target: dns.MustName("notify.nic.tld."), Port: 5353})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range list {
		got = append(got, strings.ReplaceAll(r.String(), "\t", " "))
	}
	want := []string{
		"*._dsync.tld. 3600 IN DSYNC CDS NOTIFY 5353 notify.nic.tld.",
		"*._dsync.tld. 3600 IN DSYNC CSYNC NOTIFY 5353 notify.nic.tld.",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if list, err := (&Policy{}).DSYNC(dns.MustName("tld."), Endpoint{}); err != nil || len(list) > 0 {
		t.Errorf("a parent that takes nothing tells of %v, %v", list, err)
	}
}
