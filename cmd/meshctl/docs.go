package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

type docsOptions struct {
	root *cobra.Command
	form string
	dir  string
}

// newDocsCmd writes the reference of all commands. It is hidden: releases and
// the documentation's own freshness check use it.
func newDocsCmd(_ genericiooptions.IOStreams, root *cobra.Command) *cobra.Command {
	o := &docsOptions{root: root}
	return &cobra.Command{
		Use:     "docs markdown|man DIRECTORY",
		Short:   "Write the reference of all commands",
		Example: "  meshctl docs markdown docs/reference",
		Hidden:  true,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.form, o.dir = args[0], args[1]
			if o.form != "markdown" && o.form != "man" {
				return usagef(cmd, "form %q: expected markdown or man", o.form)
			}
			return o.run(cmd.Context())
		},
	}
}

func (o *docsOptions) run(context.Context) error {
	if err := os.MkdirAll(o.dir, 0o755); err != nil { //nolint:gosec // documentation is public
		return err
	}
	o.root.DisableAutoGenTag = true
	if o.form == "man" {
		return doc.GenManTree(o.root, &doc.GenManHeader{Title: "MESHCTL", Section: "1", Source: "meshctl", Manual: "meshctl manual"}, o.dir)
	}
	if err := doc.GenMarkdownTree(o.root, o.dir); err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	return nil
}
