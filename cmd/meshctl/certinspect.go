package main

import (
	"context"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/certs/inspect"
)

type certInspectOptions struct {
	certFlags
	at     string
	last   time.Duration
	failOn string
	output formatFlag[inspection]

	view inspect.View
}

// inspection is what there is to tell of certificates, as it is printed.
type inspection struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	AsOf       time.Time `json:"asOf"`
	inspect.Report
}

func newCertInspectCmd(streams genericiooptions.IOStreams, runF func(context.Context, *certInspectOptions) error) *cobra.Command {
	o := &certInspectOptions{certFlags: certFlags{streams: streams}}
	o.output.formats = []format[inspection]{
		{"table", printInspection},
		{"json", func(w io.Writer, i inspection) error { return printer.JSON(w, i) }},
		{"yaml", func(w io.Writer, i inspection) error { return printer.YAML(w, i) }},
	}
	cmd := &cobra.Command{
		Use:   "inspect FILE|DIRECTORY|-...",
		Short: "Tell what certificates, requests and keys are, and what is wrong with them",
		Long: `Tell of certificates, requests and keys what they are: their role, identity, key,
life, who signed them and which key is whose; and what is wrong with them. They
come as PEM, DER, PKCS #12, a JWKS, Secrets and ConfigMaps in manifests, or as
secrets or a config dump of Envoy. Files that are named together are looked at together, and
so are the files of a folder. Nothing of a private key is shown.

It touches no network, unless --connect asks a server for its certificates.

Exit status: 0 nothing found, 1 something is wrong that --fail-on counts, or ends
within --for; 2 something cannot be read.`,
		Example: `  meshctl cert inspect cert-chain.pem key.pem root-cert.pem
  kubectl get secrets -A -o yaml | meshctl cert inspect - --for 720h
  meshctl cert inspect config_dump.json -o json
  meshctl cert inspect --connect shop.example.com:443`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(cmd, args); err != nil {
				return err
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return o.run(cmd.Context())
		},
	}
	o.registerPassword(cmd)
	o.registerConnect(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.at, "at", "", "look as of this time, such as 2027-01-01 or 2027-01-01T12:00:00Z (default now)")
	flags.DurationVar(&o.last, "for", 0, "how long certificates are to last, such as 720h: those that end earlier are errors")
	flags.StringVar(&o.failOn, "fail-on", "error", "exit 1 if there is one of these at least: error, warning or none")
	o.output.register(flags)
	return cmd
}

func (o *certInspectOptions) complete(cmd *cobra.Command, args []string) error {
	if err := o.certFlags.complete(cmd, args); err != nil {
		return err
	}
	if err := checkSeverity(cmd, o.failOn); err != nil {
		return err
	}
	if o.last < 0 {
		return usagef(cmd, "--for %s: expected a time to come", o.last)
	}
	at, err := instant(o.at)
	if err != nil {
		return usageError{err, cmd.CommandPath()}
	}
	o.view = inspect.View{At: at, For: o.last}
	return o.output.validate(cmd)
}

func (o *certInspectOptions) run(ctx context.Context) error {
	groups, err := o.load(ctx)
	if err != nil {
		return err
	}
	i := inspection{apiVersion, "CertificateInspection", o.view.At.UTC(), inspect.Describe(groups, o.view)}
	if err := o.output.emit(o.streams.Out, i); err != nil {
		return err
	}
	if o.failOn != "none" && inspect.Worst(i.Findings, o.failOn) {
		return negative{counted(len(i.Findings), "finding")}
	}
	return nil
}

func printInspection(w io.Writer, i inspection) error {
	var rows [][]string
	for _, item := range i.Items {
		until, used := "", ""
		if item.NotAfter != nil {
			until = item.NotAfter.Format(time.RFC3339)
		}
		if item.UsedPercent != nil {
			used = strconv.Itoa(*item.UsedPercent) + "%"
		}
		rows = append(rows, []string{clean(item.At), item.Role, clean(called(item)), item.Key, until, item.Remaining, used, clean(item.IssuedBy), clean(item.Belongs)})
	}
	if err := printer.Table(w, []string{"AT", "ROLE", "NAME", "KEY", "UNTIL", "LEFT", "USED", "ISSUED BY", "BELONGS TO"}, rows); err != nil || len(i.Findings) == 0 {
		return err
	}
	if err := printer.Lines(w, ""); err != nil {
		return err
	}
	headers, found := findingRows(i.Findings)
	return printer.Table(w, headers, found)
}

// called is the best name of a thing.
func called(i inspect.Item) string {
	switch {
	case i.ID != "":
		return i.ID
	case len(i.Names) > 0:
		return strings.Join(i.Names, ", ")
	}
	return i.Subject
}
