package telemetry

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestTotalsOfManyZonesAreNotSummedUpForEachReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		walks := 0
		zones := func(yield func(Zone) bool) {
			walks++
			time.Sleep(200 * time.Millisecond) // as a million zones take
			yield(Zone{Loaded: true, Records: walks, Bytes: 5})
			yield(Zone{})
		}
		var totals Totals
		for range 60 {
			totals.Of(zones)
			time.Sleep(time.Second)
		}
		if walks < 3 || walks > 5 {
			t.Errorf("summed up %d times in a minute, expected each 20 s", walks)
		}
		if sum := totals.Of(zones); sum != (Zones{Count: 2, Missing: 1, Records: walks, Bytes: 5}) {
			t.Errorf("%+v", sum)
		}
	})
}
