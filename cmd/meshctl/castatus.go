package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/ca"
)

func newCAStatusCmd(f *caFlags) *cobra.Command {
	format := formatFlag[*ca.Status]{formats: []format[*ca.Status]{
		{"table", statusTable},
		{"json", func(w io.Writer, s *ca.Status) error { return printer.JSON(w, s) }},
		{"yaml", func(w io.Writer, s *ca.Status) error { return printer.YAML(w, s) }},
	}}
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show what the authority has and does",
		Example: `  meshctl ca status -o json`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := format.validate(cmd); err != nil {
				return err
			}
			a, err := f.read(cmd)
			if err != nil {
				return err
			}
			s, err := a.Status()
			if err != nil {
				return err
			}
			if err := f.warnings(a); err != nil {
				return err
			}
			return format.emit(f.streams.Out, s)
		},
	}
	format.register(cmd.Flags())
	return cmd
}

func (f *caFlags) warnings(a *ca.Authority) error {
	for _, w := range a.Warnings() {
		if err := printer.Lines(f.streams.ErrOut, "warning: "+w); err != nil {
			return err
		}
	}
	return nil
}

// printStatus shows an authority that was just made.
func (f *caFlags) printStatus(a *ca.Authority) error {
	s, err := a.Status()
	if err != nil {
		return err
	}
	return statusTable(f.streams.Out, s)
}

func statusTable(w io.Writer, s *ca.Status) error {
	var rows [][]string
	for _, m := range s.Authorities {
		rows = append(rows, []string{m.Name, strings.Join(m.Roles, ", "), m.Subject, m.NotAfter.UTC().Format(time.DateOnly), m.Secret, m.Key[:16]})
	}
	if err := printer.Table(w, []string{"NAME", "ROLE", "SUBJECT", "UNTIL", "KEY", "KEY HASH"}, rows); err != nil {
		return err
	}
	return printer.Lines(w, "",
		"trust domain "+s.TrustDomain+": "+s.Stage.Describe(),
		fmt.Sprintf("%s can be used, %d of them revoked; %s in the log", counted(s.Live, "leaf certificate"), s.Revoked, counted(int(s.Records), "record"))) //nolint:gosec // lines of a file
}

func newCALogCmd(f *caFlags) *cobra.Command {
	var since time.Duration
	format := formatFlag[[]ca.Record]{formats: []format[[]ca.Record]{
		{"table", logTable},
		{"json", func(w io.Writer, r []ca.Record) error { return printer.JSON(w, printer.List("IssuanceLog", r)) }},
		{"yaml", func(w io.Writer, r []ca.Record) error { return printer.YAML(w, printer.List("IssuanceLog", r)) }},
	}}
	cmd := &cobra.Command{
		Use:     "log",
		Short:   "List what was issued and revoked",
		Example: "  meshctl ca log --since 24h\n  meshctl ca log verify",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := format.validate(cmd); err != nil {
				return err
			}
			a, err := f.read(cmd)
			if err != nil {
				return err
			}
			from := time.Time{}
			if since > 0 {
				from = a.Now().Add(-since)
			}
			records, err := a.Records(from)
			if err != nil {
				return err
			}
			return format.emit(f.streams.Out, records)
		},
	}
	format.register(cmd.Flags())
	cmd.Flags().DurationVar(&since, "since", 0, "only what is not older")
	cmd.AddCommand(&cobra.Command{
		Use:     "verify",
		Short:   "Check that no record was changed or taken away",
		Example: "  meshctl ca log verify",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := f.read(cmd)
			if err != nil {
				return err
			}
			n, err := a.VerifyLog()
			if err != nil {
				return err
			}
			return printer.Lines(f.streams.Out, fmt.Sprintf("the log is whole: %s", counted(int(n), "record"))) //nolint:gosec // lines of a file
		},
	})
	return cmd
}

func logTable(w io.Writer, records []ca.Record) error {
	var rows [][]string
	for _, r := range records {
		who, serial, until := r.ID, r.Serial, ""
		if who == "" {
			who = r.Subject
		}
		if r.Event == ca.IssuedCRL {
			serial = fmt.Sprintf("number %d", r.Number)
		}
		if !r.NotAfter.IsZero() {
			until = r.NotAfter.UTC().Format(time.RFC3339)
		}
		rows = append(rows, []string{r.Time.UTC().Format(time.RFC3339), string(r.Event), who, serial, until, r.Caller, r.Reason})
	}
	return printer.Table(w, []string{"TIME", "EVENT", "IDENTITY", "SERIAL", "UNTIL", "CALLER", "REASON"}, rows)
}
