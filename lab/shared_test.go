package lab

import (
	"os"
	"sync"
	"testing"
)

// common is a lab for several tests.
type common struct {
	once sync.Once
	lab  *Lab
	dir  string
}

// quiet is for tests that change nothing; in busy each has domains of its own, that
// no other test touches.
var quiet, busy common

// shared returns a lab that nobody changes, and playground one in which a test
// changes domains of its own. Only parallel tests may ask for them: they run after
// those that look for what a lab leaves behind.
func shared(t *testing.T) *Lab     { return quiet.start(t) }
func playground(t *testing.T) *Lab { return busy.start(t) }

func (c *common) start(t *testing.T) *Lab {
	t.Helper()
	c.once.Do(func() {
		var err error
		if c.dir, err = os.MkdirTemp("", "onoma-lab-"); err != nil {
			t.Fatal(err)
		}
		if c.lab, err = startIn(c.dir); err != nil {
			t.Fatal(err)
		}
	})
	if c.lab == nil {
		t.Fatal("the lab that tests share has not started")
	}
	return c.lab
}

func (c *common) end() {
	if c.lab != nil {
		c.lab.Close()
	}
	os.RemoveAll(c.dir)
}

func TestMain(m *testing.M) {
	code := m.Run()
	quiet.end()
	busy.end()
	os.Exit(code)
}
