package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/platform/config"
)

// bootstrap creates the first tenant, its owner and an API key, from the database's side: no token is needed.
func bootstrap(ctx context.Context, args []string) error {
	flags := newFlags("bootstrap", "", "Creates a tenant with its agent, its owner and an API key, and prints the key once.\nRunning it again changes nothing. It needs DATABASE_URL, after `lari migrate`.")
	slug := flags.String("tenant", "main", "`slug` of the tenant")
	name := flags.String("name", "", "`name` of the tenant; default: the slug")
	owner := flags.String("owner", "", "`id` of the user who owns the tenant: the sub of the user's tokens")
	email := flags.String("email", "", "`address` of the owner")
	newKey := flags.Bool("new-key", false, "make a further key, when the secret of the first is lost")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := parse(flags, args); err != nil {
		return err
	}
	cfg, log, err := configureDatabase(config.RoleBootstrap)
	if err != nil {
		return err
	}
	made, err := app.Bootstrap{Slug: *slug, Name: *name, Owner: *owner, Email: *email, NewKey: *newKey}.Run(ctx, cfg, log)
	if err != nil {
		return err
	}
	if *asJSON {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		return out.Encode(made)
	}
	return showBootstrapped(os.Stdout, made)
}

func showBootstrapped(to io.Writer, made app.Bootstrapped) error {
	state := map[bool]string{true: "created", false: "was there"}
	out := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "tenant\t%s (%s)\t%s\n", made.Tenant, made.TenantID, state[made.TenantCreated])
	fmt.Fprintf(out, "agent\tassistant\t%s\n", state[made.AgentCreated])
	if made.Owner != "" {
		fmt.Fprintf(out, "owner\t%s\t%s\n", made.Owner, state[made.OwnerCreated])
	}
	fmt.Fprintf(out, "key\t%s…\t%s\n", made.KeyPrefix, state[made.Key != ""])
	if err := out.Flush(); err != nil {
		return err
	}
	var err error
	if made.Key == "" {
		_, err = fmt.Fprintln(to, "\nThe secret of the key was shown when it was made. Lost? lari bootstrap --new-key makes another.")
	} else {
		_, err = fmt.Fprintf(to, "\nThe key is shown only now:\n\n  export LARI_TOKEN=%s\n", made.Key)
	}
	return err
}
