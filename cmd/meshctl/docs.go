package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

type docsOptions struct {
	root *cobra.Command
	form string
	dir  string
}

// newDocsCmd writes the reference of all commands, and the shells' completions.
// It is hidden: releases and the documentation's own freshness check use it.
func newDocsCmd(_ genericiooptions.IOStreams, root *cobra.Command) *cobra.Command {
	o := &docsOptions{root: root}
	return &cobra.Command{
		Use:     "docs markdown|man|completions DIRECTORY",
		Short:   "Write the reference of all commands",
		Example: "  meshctl docs markdown docs/reference",
		Hidden:  true,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.form, o.dir = args[0], args[1]
			if !slices.Contains([]string{"markdown", "man", "completions"}, o.form) {
				return usagef(cmd, "form %q: expected markdown, man or completions", o.form)
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
	switch o.form {
	case "man":
		return doc.GenManTree(o.root, &doc.GenManHeader{Title: "MESHCTL", Section: "1", Source: "meshctl", Manual: "meshctl manual"}, o.dir)
	case "completions":
		return o.completions()
	}
	return doc.GenMarkdownTree(o.root, o.dir)
}

func (o *docsOptions) completions() error {
	return errors.Join(
		o.root.GenBashCompletionFileV2(filepath.Join(o.dir, "meshctl.bash"), true),
		o.root.GenZshCompletionFile(filepath.Join(o.dir, "_meshctl")),
		o.root.GenFishCompletionFile(filepath.Join(o.dir, "meshctl.fish"), true),
		o.root.GenPowerShellCompletionFileWithDesc(filepath.Join(o.dir, "meshctl.ps1")),
	)
}
