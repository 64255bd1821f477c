package devstack

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// loopback is the only address that children listen on.
const loopback = "127.0.0.1"

// Ports are remembered, so their first choice lies below the ranges from which systems take the ports of
// outgoing connections: a port there is still free at the next start.
const (
	firstPostgresPort   = 15432
	firstTemporalPort   = 17233
	firstTemporalUIPort = 18233
	portsToTry          = 200
)

func portIsFree(port int) bool {
	listener, err := net.Listen("tcp4", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	_ = listener.Close()
	return true
}

// pickPort gives the remembered port if it is still free, else the first free one from first upwards.
// With first 0 it lets the system choose: tests never want the same port twice.
func pickPort(remembered, first int) (int, error) {
	if remembered != 0 && portIsFree(remembered) {
		return remembered, nil
	}
	if first == 0 {
		return systemPort()
	}
	for port := first; port < first+portsToTry; port++ {
		if port != remembered && portIsFree(port) {
			return port, nil
		}
	}
	return systemPort()
}

func systemPort() (int, error) {
	listener, err := net.Listen("tcp4", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, trouble(err, "No port on %s can be opened (%v): check the machine's network limits.", loopback, err)
	}
	defer func() { _ = listener.Close() }()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("free port: unexpected address %v", listener.Addr())
	}
	return address.Port, nil
}

// lostPortRace reports whether a child's log says that its port was taken between our check and its bind.
func lostPortRace(log string) bool {
	for _, phrase := range []string{"ddress already in use", "could not bind", "can't set frontend port", "can't set UI port", "port is already allocated"} {
		if strings.Contains(log, phrase) {
			return true
		}
	}
	return false
}
