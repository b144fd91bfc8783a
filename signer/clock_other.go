//go:build !linux

package signer

import "time"

var started = time.Now()

// sinceBoot is the monotonic clock, which may stand still while the machine sleeps.
func sinceBoot() time.Duration { return time.Since(started) }
