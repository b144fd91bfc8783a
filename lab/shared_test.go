package lab

import (
	"os"
	"sync"
	"testing"
)

// common is a lab that tests share which change nothing in it.
var common struct {
	once sync.Once
	lab  *Lab
	dir  string
}

// shared returns it. Only parallel tests may ask for it: they run after those that
// look for what a lab leaves behind.
func shared(t *testing.T) *Lab {
	t.Helper()
	common.once.Do(func() {
		var err error
		if common.dir, err = os.MkdirTemp("", "onoma-lab-"); err != nil {
			t.Fatal(err)
		}
		if common.lab, err = startIn(common.dir); err != nil {
			t.Fatal(err)
		}
	})
	if common.lab == nil {
		t.Fatal("the lab that tests share has not started")
	}
	return common.lab
}

func TestMain(m *testing.M) {
	code := m.Run()
	if common.lab != nil {
		common.lab.Close()
	}
	os.RemoveAll(common.dir)
	os.Exit(code)
}
