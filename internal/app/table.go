package app

import "github.com/larirun/lari/api"

// Table gives the routes that the process's API answers, for those who range over them.
func (a *App) Table() ([]api.Entry, error) {
	server, err := a.server()
	if err != nil {
		return nil, err
	}
	return server.Table(), nil
}
