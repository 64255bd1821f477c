package devstack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// state is what one start leaves for the next, so that URLs stay the same.
type state struct {
	PostgresPort     int    `json:"postgres_port,omitempty"`
	PostgresPassword string `json:"postgres_password,omitempty"`
	TemporalPort     int    `json:"temporal_port,omitempty"`
	TemporalUIPort   int    `json:"temporal_ui_port,omitempty"`
	TemporalPID      int    `json:"temporal_pid,omitempty"`
}

// stateFile is devstack.json; it holds a password, so only its owner reads it.
type stateFile struct {
	path string
	mu   sync.Mutex
	now  state
}

func openState(dir string) (*stateFile, error) {
	s := &stateFile{path: filepath.Join(dir, "devstack.json")}
	text, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, trouble(err, "The state file %s cannot be read (%v): run as the user who made it, or set LARI_DATA_DIR to another folder.", s.path, cause(err))
	}
	// An unreadable state costs remembered ports and a password reset, nothing else.
	if err := json.Unmarshal(text, &s.now); err != nil {
		s.now = state{}
	}
	return s, nil
}

func (s *stateFile) get() state {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// update changes the state and saves it in one rename.
func (s *stateFile) update(change func(*state)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.now)
	text, err := json.MarshalIndent(s.now, "", "  ")
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	half := s.path + ".half"
	if err := os.WriteFile(half, append(text, '\n'), 0o600); err != nil {
		return explainState(err, filepath.Dir(s.path))
	}
	if err := os.Rename(half, s.path); err != nil {
		return explainState(err, filepath.Dir(s.path))
	}
	return nil
}

// explainState turns a file error of a state folder into a sentence.
func explainState(err error, dir string) error {
	if isDiskFull(err) {
		return trouble(err, "The disk of the state folder %s is full: free some space or set LARI_DATA_DIR to another disk.", dir)
	}
	return trouble(err, "The state folder %s cannot be written (%v): set LARI_DATA_DIR to a folder you can write.", dir, cause(err))
}
