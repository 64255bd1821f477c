package main

import "bytes"

// packages reads the output of a go test and knows whether some package ran a test. It is not safe for concurrent use.
type packages struct {
	line []byte // the last, which has not ended yet
	some bool
}

// Write reads a piece of the output.
func (p *packages) Write(piece []byte) (int, error) {
	p.line = append(p.line, piece...)
	for {
		line, rest, ended := bytes.Cut(p.line, []byte("\n"))
		if !ended {
			return len(piece), nil
		}
		if bytes.HasPrefix(line, []byte("ok  \t")) && !bytes.Contains(line, []byte("[no tests to run]")) {
			p.some = true
		}
		p.line = rest
	}
}

// ran reports whether a package that passed ran a test.
func (p *packages) ran() bool { return p.some }
