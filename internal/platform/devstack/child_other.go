//go:build !linux

package devstack

import "syscall"

func childAttributes(spec childSpec) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: spec.credential}
}
