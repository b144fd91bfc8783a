package signing

import (
	"flag"
	"os"
	"testing"
)

// TestMain has more tests at once than there are processors: all they do is wait for TTLs.
func TestMain(m *testing.M) {
	flag.Parse()
	isGiven := false
	flag.Visit(func(f *flag.Flag) { isGiven = isGiven || f.Name == "test.parallel" })
	if !isGiven {
		if err := flag.Set("test.parallel", "16"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// slow leaves a test out of a short run.
func slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("not with -short: it waits for TTLs")
	}
}
