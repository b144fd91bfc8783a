//go:build !linux

package xdp

import (
	"fmt"
	"runtime"
)

// engine is what Linux has.
type engine struct {
	mode   Mode
	loops  []struct{}
	failed chan error
}

func newEngine(engineConfig) (*engine, error) {
	return nil, fmt.Errorf("%w: it is Linux's, and this is %s", ErrUnavailable, runtime.GOOS)
}

func (e *engine) start()         {}
func (e *engine) close() error   { return nil }
func (e *engine) addTo(*Stats)   {}
func (e *engine) zeroCopy() bool { return false }
