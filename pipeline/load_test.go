package pipeline

import (
	"fmt"
	"testing"

	"onoma/dns"
	"onoma/zone"
)

// TestLargeZoneAmongMany: a start with many zones reads those that have grown large, too, whatever their way to it.
func TestLargeZoneAmongMany(t *testing.T) {
	const zones = few + 10
	specs := make([]ZoneSpec, zones)
	for i := range specs {
		specs[i].ID = zone.IDOf("", dns.MustName(fmt.Sprintf("z%d.example.", i)))
	}
	r := newRig(t, specs...)
	for i, s := range specs {
		records := 2
		if i%20 == 0 {
			records = 4000 * (1 + i/20) // about 300 KiB, 600 KiB, 900 KiB, 1.2 MiB: staged all of them
		}
		r.must(replace(version(t, s.ID.Name.String(), 1, numbered(s.ID, records)...)))
	}
	r.must(add(specs[20].ID, numbered(specs[20].ID, 20000)...)) // a small change would not be staged
	want := make([]string, zones)
	for i, s := range specs {
		want[i] = r.text(s.ID)
	}
	for _, name := range []string{"with snapshots", "without"} {
		r.stop()
		if name == "without" {
			r.dir = t.TempDir()
		}
		r.start(specs...)
		for i, s := range specs {
			if err := r.Broken(s.ID); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if r.text(s.ID) != want[i] {
				t.Errorf("%s: zone %s has other records after a restart", name, s.ID)
			}
		}
	}
	large := specs[0].ID
	r.must(add(large, "news."+large.Name.String()+" 300 IN A 192.0.2.9"))
}

func numbered(id zone.ID, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("a-name-that-is-rather-long-%06d-and-has-an-address.%s 300 IN A 192.0.%d.%d", i, id.Name, i>>8&255, i&255)
	}
	return out
}
