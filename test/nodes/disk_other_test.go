//go:build !linux

package nodes

import "errors"

const readOnly = 1

var errMount = errors.New("file systems are mounted on Linux only")

func mountTmpfs(string, string) error { return errMount }

func remountFlags(string, uintptr) error { return errMount }

func unmount(string) error { return errMount }
