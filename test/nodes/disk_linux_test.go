package nodes

import "syscall"

const readOnly = syscall.MS_RDONLY

func mountTmpfs(dir, options string) error { return syscall.Mount("tmpfs", dir, "tmpfs", 0, options) }

func remountFlags(dir string, flags uintptr) error {
	return syscall.Mount("", dir, "", syscall.MS_REMOUNT|flags, "")
}

func unmount(dir string) error { return syscall.Unmount(dir, syscall.MNT_DETACH) }
