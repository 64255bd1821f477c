package config

import "testing"

func TestDogStatsDAddress(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ          map[string]string
		network, address string
	}{
		"nothing":           {map[string]string{}, "", ":8125"},
		"only a port":       {map[string]string{"DD_DOGSTATSD_PORT": "9"}, "", ":9"},
		"a host":            {map[string]string{"DD_AGENT_HOST": "agent"}, "udp", "agent:8125"},
		"a host and a port": {map[string]string{"DD_AGENT_HOST": "10.1.2.3", "DD_DOGSTATSD_PORT": "9"}, "udp", "10.1.2.3:9"},
		"an IPv6 host":      {map[string]string{"DD_AGENT_HOST": "fd00::1"}, "udp", "[fd00::1]:8125"},
		"a socket":          {map[string]string{"DD_DOGSTATSD_URL": "unix:///var/run/datadog/dsd.socket", "DD_AGENT_HOST": "agent"}, "unixgram", "/var/run/datadog/dsd.socket"},
		"a URL":             {map[string]string{"DD_DOGSTATSD_URL": "udp://agent:77"}, "udp", "agent:77"},
		"a URL, no port":    {map[string]string{"DD_DOGSTATSD_URL": "udp://agent"}, "udp", "agent:8125"},
	} {
		d := load(t, c.environ).DogStatsD
		if d.Network() != c.network || c.network != "" && d.Address() != c.address {
			t.Errorf("%s: %s %s, want %s %s", name, d.Network(), d.Address(), c.network, c.address)
		}
	}
}

func TestDogStatsDRefusesWhatIsNoAddress(t *testing.T) {
	t.Parallel()
	for variable, values := range map[string][]string{
		"DD_AGENT_HOST":     {"http://agent", "agent:8125", "a host", "user@agent", "agent/"},
		"DD_DOGSTATSD_PORT": {"0", "65536", "eight"},
		"DD_DOGSTATSD_URL":  {"agent:8125", "http://agent:8125", "unix://relative/path", "unix:", "udp://", "udp://agent:0", "udp://u:p@agent:1", "udp://agent:1/path", `\\.\pipe\x`},
	} {
		for _, value := range values {
			if _, err := Load(map[string]string{variable: value}); err == nil {
				t.Errorf("%s=%s is accepted", variable, value)
			}
		}
	}
}
