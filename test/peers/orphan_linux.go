package peers

import (
	"os/exec"
	"syscall"
)

// dieWithUs has the kernel end the child when the thread that started it ends, even where no cleanup of ours runs:
// a test that is killed leaves no server behind.
func dieWithUs(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
}
