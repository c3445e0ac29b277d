package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/ca"
)

// statusDocument is a status for programs.
type statusDocument struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	*ca.Status
}

func newStatusDocument(s *ca.Status) statusDocument {
	return statusDocument{apiVersion, "AuthorityStatus", s}
}

func newCAStatusCmd(f *caFlags) *cobra.Command {
	format := formatFlag[*ca.Status]{formats: []format[*ca.Status]{
		{"table", statusTable},
		{"json", func(w io.Writer, s *ca.Status) error { return printer.JSON(w, newStatusDocument(s)) }},
		{"yaml", func(w io.Writer, s *ca.Status) error { return printer.YAML(w, newStatusDocument(s)) }},
	}}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what the authority has and does",
		Long: `Show the certificates of the authority and their state: good, ends soon (within 30
days), expired, revoked, or issuer revoked. Of a log that is damaged is told what is
wrong; the exit status is 2 then, and what is shown may not be true.`,
		Example: `  meshctl ca status -o json`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := format.validate(cmd); err != nil {
				return err
			}
			a, err := f.look(cmd)
			if err != nil {
				return err
			}
			s, err := a.Status()
			if err != nil {
				return errors.Join(a.Damage(), err)
			}
			return errors.Join(f.warnings(a), format.emit(f.streams.Out, s), a.Damage())
		},
	}
	format.register(cmd.Flags())
	return cmd
}

func (f *caFlags) warnings(a *ca.Authority) error {
	all, err := a.Warnings()
	if err != nil {
		return err
	}
	for _, w := range all {
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
		rows = append(rows, []string{m.Name, strings.Join(m.Roles, ", "), m.Subject, m.NotAfter.UTC().Format(time.DateOnly), string(m.State), m.Secret, m.Key[:16]})
	}
	if err := printer.Table(w, []string{"NAME", "ROLE", "SUBJECT", "UNTIL", "STATE", "KEY", "KEY HASH"}, rows); err != nil {
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
		Use:   "log",
		Short: "List what was issued and revoked",
		Long: `List what was issued and revoked, in order. A log that is damaged is shown as it is;
what is wrong with it is told, and the exit status is 2.`,
		Example: "  meshctl ca log --since 24h\n  meshctl ca log verify",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := format.validate(cmd); err != nil {
				return err
			}
			a, err := f.look(cmd)
			if err != nil {
				return err
			}
			from := time.Time{}
			if since > 0 {
				from = a.Now().Add(-since)
			}
			records, err := a.Records(from)
			if err != nil {
				return errors.Join(a.Damage(), err)
			}
			return errors.Join(format.emit(f.streams.Out, records), a.Damage())
		},
	}
	format.register(cmd.Flags())
	cmd.Flags().DurationVar(&since, "since", 0, "only what is not older")
	cmd.AddCommand(&cobra.Command{
		Use:   "verify",
		Short: "Check that no record was changed or taken away",
		Long: `Follow the hashes of the log, and hold it to the state, which knows the last record.
Every command of the authority does it first, and refuses a log that is damaged.

Found out is what was changed, moved or taken away, at the end too. Not found out is
a log that was put back or written anew together with state.json, as an older copy
of the whole directory is; and if a command was stopped between the two, before it
told anybody anything, the loss of its records alone.`,
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
