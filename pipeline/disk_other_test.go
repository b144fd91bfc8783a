//go:build !linux

package pipeline

import "testing"

func smallDisk(t *testing.T, _ string) func() {
	t.Skip("needs Linux")
	return nil
}
