package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/larirun/lari/internal/app"
)

func printVersion(_ context.Context, args []string) error {
	flags := newFlags("version", "", "Prints version, commit, its date, and the Go release and platform that built this program.")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := parse(flags, args); err != nil {
		return err
	}
	build := app.ReadBuild()
	if *asJSON {
		return json.NewEncoder(os.Stdout).Encode(build)
	}
	_, err := fmt.Println(build)
	return err
}
