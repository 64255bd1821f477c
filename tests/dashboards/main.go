// Command dashboards makes the dashboards of internal/platform/dashboards into Grafana's JSON, one file each.
//
//	dashboards FOLDER
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/larirun/lari/internal/platform/dashboards"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dashboards FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "dashboards:", err)
		os.Exit(1)
	}
}

func write(folder string) error {
	for _, d := range dashboards.All() {
		text, err := render(d)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, d.File+".json"), text, 0o644); err != nil { //nolint:gosec // G306: Grafana reads it, as whoever it runs
			return err
		}
	}
	return nil
}
