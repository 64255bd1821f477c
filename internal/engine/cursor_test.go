package engine

import (
	"bytes"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
)

// FuzzCursor: what was given out leads back, for its tenant alone; of anything else nothing reaches Temporal.
func FuzzCursor(f *testing.F) {
	mine, other := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	f.Add([]byte("token"), "")
	f.Add([]byte{0}, cursorOf(mine, []byte("token")))
	f.Add([]byte{}, cursorOf(other, []byte("token")))
	f.Add(bytes.Repeat([]byte("x"), 500), "AAAA")
	f.Add([]byte(nil), "\x00")
	f.Fuzz(func(t *testing.T, token []byte, cursor string) {
		back, err := tokenOf(mine, cursorOf(mine, token))
		if err != nil || !bytes.Equal(back, token) {
			t.Errorf("%x comes back as %x, %v", token, back, err)
		}
		if _, err := tokenOf(other, cursorOf(mine, token)); len(token) > 0 && !fault.Is(err, fault.Malformed) {
			t.Errorf("another tenant may use %x: %v", token, err)
		}
		back, err = tokenOf(mine, cursor)
		switch {
		case err != nil && (!fault.Is(err, fault.Malformed) || back != nil):
			t.Errorf("%q gives %x, %v", cursor, back, err)
		case err == nil && cursor != "" && len(back) == 0:
			t.Errorf("%q stands for the first page", cursor)
		}
	})
}
