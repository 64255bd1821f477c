package devstack

import "syscall"

// childAttributes asks the kernel to signal the child when we die, even by SIGKILL. Go sets it after the
// change of credentials, which would clear it.
func childAttributes(spec childSpec) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: spec.credential, Pdeathsig: spec.orphanSignal}
}
