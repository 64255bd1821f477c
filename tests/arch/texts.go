package arch

import (
	"bytes"
	"os"
	"path/filepath"
)

// registryHosts are the hosts of package registries. Naming one would fix a machine's source of packages
// here, where nobody who has a mirror can change it: tools take it from their own configuration.
func registryHosts() [][]byte {
	var hosts [][]byte
	for domain, names := range map[string][]string{ // in two parts, for this file is read too
		"golang.org": {"proxy", "sum"}, "npmjs.org": {"registry"}, "npmjs.com": {"registry"}, "pythonhosted.org": {"files"},
		"debian.org": {"deb", "security", "ftp", "snapshot", "archive", "cdn-fastly.deb"},
		"org":        {"pypi"},
	} {
		for _, name := range names {
			hosts = append(hosts, []byte(name+"."+domain))
		}
	}
	return hosts
}

// largeFile is more than any source has, in bytes: what is larger was built, downloaded or dumped.
const largeFile = 1 << 20

// checkSize allows no file that cannot be a source.
func checkSize(t *tree, _ Law, r *report) {
	for _, name := range t.texts {
		info, err := os.Stat(filepath.Join(t.root, filepath.FromSlash(name)))
		if err == nil && info.Size() > largeFile {
			r.line(name, 1, "%d bytes: a program or a dump does not belong into the repository", info.Size())
		}
	}
}

// checkHosts reads every file of the tree, Go or not.
func checkHosts(t *tree, _ Law, r *report) {
	hosts := registryHosts()
	for _, name := range t.texts {
		text, err := os.ReadFile(filepath.Join(t.root, filepath.FromSlash(name)))
		if err != nil {
			r.line(name, 1, "cannot be read: %v", err)
			continue
		}
		if !bytes.Contains(text, []byte(".org")) && !bytes.Contains(text, []byte(".com")) {
			continue
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			for _, host := range hosts {
				if bytes.Contains(line, host) {
					r.line(name, i+1, "names the registry host %s", host)
				}
			}
		}
	}
}
