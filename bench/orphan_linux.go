package main

import (
	"os/exec"
	"syscall"
)

// dieWithUs has the kernel end the child when bench ends, even where no cleanup of ours runs.
func dieWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
