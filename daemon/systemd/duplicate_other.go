//go:build !unix

package systemd

import (
	"errors"
	"os"
)

// duplicate is for systems whose service managers hand no sockets over.
func duplicate(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }
