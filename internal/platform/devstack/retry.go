package devstack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// startTries bounds how often a child is started again after a lost race.
const startTries = 5

// again decides whether a failed start is worth another try. If not, it shows the child's last words and
// gives the error to return. The child is stopped.
func (b *boot) again(ctx context.Context, c *child, err error, try int) (bool, error) {
	if ctx.Err() != nil {
		return false, fmt.Errorf("start %s: %w", c.spec.name, ctx.Err())
	}
	tail := lastLines(c.logPath, 12)
	if try < startTries {
		switch {
		case lostPortRace(tail):
			return true, nil
		case strings.Contains(tail, "pre-existing shared memory block"): // backends of a killed server are still leaving
			return true, pause(ctx, time.Second)
		}
	}
	var known *Trouble
	if errors.As(err, &known) {
		return false, err
	}
	if isNamelessUser(tail) {
		return false, namelessUser(err)
	}
	b.out.line("--- last lines of %s ---\n%s\n---", c.logPath, shorten(tail))
	wayOut := "see its log " + c.logPath + "; an empty LARI_DATA_DIR begins anew"
	if b.ephemeral && !b.keep {
		wayOut = "its last words are above"
	}
	if strings.Contains(tail, "No space left on device") {
		wayOut = "the disk is full, free some space"
	}
	return false, trouble(err, "%s did not start (%v): %s.", c.spec.name, err, wayOut)
}

// shorten cuts each line to what a terminal bears; the log has the rest.
func shorten(text string) string {
	const width = 300
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if len(line) > width {
			lines[i] = strings.ToValidUTF8(line[:width], "") + " …"
		}
	}
	return strings.Join(lines, "\n")
}

func pause(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("pause: %w", ctx.Err())
	case <-timer.C:
		return nil
	}
}
