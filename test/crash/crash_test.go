package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// few crashes are enough to see that all works.
const few = 8

func crashes(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("ONOMA_CRASHES"))
	if err != nil {
		return few
	}
	t.Logf("%d crashes", n)
	return n
}

// TestKill is the test of this package.
func TestKill(t *testing.T) {
	random := rand.New(rand.NewPCG(4, uint64(time.Now().UnixNano())))
	n := newNode(t)
	doors := []door{
		&updateDoor{account: newAccount("u.example."), node: n},
		&apiDoor{account: newAccount("a.example."), node: n},
		&fileDoor{account: newAccount("f.example."), node: n},
		newTransferDoor(t, n, "t.example."),
	}
	n.start(t)
	began, slowest := time.Now(), time.Duration(0)
	for range crashes(t) {
		stop := make(chan struct{})
		ended := make(chan error, len(doors))
		for _, d := range doors {
			go func() { ended <- work(d, stop) }()
		}
		time.Sleep(time.Duration(20+random.IntN(200)) * time.Millisecond)
		n.End(t, os.Kill)
		close(stop)
		for range doors {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		slowest = max(slowest, n.start(t))
		for _, d := range doors {
			if err := d.book().verify(n); err != nil {
				t.Errorf("zone %s: %v", d.book().zone, err)
			}
		}
		if t.Failed() {
			t.Fatalf("the log of the server:\n%s", n.Tail())
		}
	}
	report := ""
	for _, d := range doors {
		b := d.book()
		report += fmt.Sprintf("; %s %d acknowledged, %d in doubt", b.zone, b.acknowledged, b.doubtful)
		if b.acknowledged == 0 {
			t.Errorf("zone %s: nothing was acknowledged: this proves nothing", b.zone)
		}
	}
	t.Logf("%d crashes in %v, slowest start %v%s", n.Ends, time.Since(began).Round(time.Millisecond), slowest.Round(time.Millisecond), report)
}
