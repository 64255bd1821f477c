package tools

import (
	"context"
	"encoding/json"
	"time"
	_ "time/tzdata" // a container without zone files must know the zones too

	"github.com/larirun/lari/internal/platform/fault"
)

type currentTime struct{ now func() time.Time }

// NewCurrentTime is the tool current_time: the time in a zone. now is time.Now outside tests.
func NewCurrentTime(now func() time.Time) Tool { return currentTime{now: now} }

func (currentTime) Definition() Definition {
	return Definition{
		Name:        "current_time",
		Description: "Gives the current date, time and weekday in a time zone.",
		Parameters: json.RawMessage(`{"type":"object","additionalProperties":false,"properties":{
			"timezone":{"type":"string","maxLength":64,"description":"IANA time zone such as Asia/Jakarta; UTC when left out"}}}`),
	}
}

func (t currentTime) Call(_ context.Context, arguments json.RawMessage) (string, error) {
	var args struct {
		Timezone string `json:"timezone"`
	}
	if err := json.Unmarshal(arguments, &args); err != nil {
		return "", fault.Wrap(err, fault.Invalid, "the arguments cannot be read")
	}
	zone, err := time.LoadLocation(args.Timezone) // "" is UTC
	if err != nil || args.Timezone == "Local" {   // the machine's zone is nobody's business
		return "", fault.InvalidField("timezone", "timezone", "must be an IANA time zone such as Europe/Berlin or UTC")
	}
	now := t.now().In(zone)
	return encode(map[string]string{
		"time": now.Format(time.RFC3339), "weekday": now.Weekday().String(), "timezone": zone.String(),
	})
}
