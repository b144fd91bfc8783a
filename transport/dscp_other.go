//go:build !unix

package transport

import "errors"

func setTrafficClass(uintptr, bool, int) error { return errors.ErrUnsupported }
