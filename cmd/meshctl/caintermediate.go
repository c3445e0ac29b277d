package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
)

type caIntermediateOptions struct {
	*caFlags
	own    authorityFlags
	csr    string
	signed string
}

func newCAIntermediateCmd(f *caFlags) *cobra.Command {
	o := &caIntermediateOptions{caFlags: f}
	cmd := &cobra.Command{
		Use:   "intermediate",
		Short: "Make another intermediate, which signs from now on",
		Long: `Make another intermediate under the root, which signs from now on. What the one
before signed stays good.

Where the key of the root is elsewhere, as above an imported intermediate, --csr
writes a request for whoever has it, and --signed takes in what comes of it, after
every check of "ca verify". The key of the intermediate never leaves the directory.`,
		Example: `  meshctl ca intermediate --istio
  meshctl ca intermediate --csr mesh.csr
  meshctl ca intermediate --signed mesh-chain.pem`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := positive(cmd, "intermediate-ttl"); err != nil {
				return err
			}
			switch {
			case o.csr != "" && o.signed != "":
				return usagef(cmd, "--csr and --signed exclude each other")
			case o.csr != "":
				return o.request(cmd)
			case o.signed != "":
				return o.take(cmd)
			}
			return f.unlock(cmd, func(_ context.Context, a *ca.Authority, passphrase []byte) error {
				step, err := a.NewIntermediate(passphrase, certs.KeyAlgorithm(o.own.keyType), o.own.intermediate())
				return errors.Join(err, f.printStep(step))
			})
		},
	}
	flags := cmd.Flags()
	o.own.registerIntermediate(flags)
	flags.StringVar(&o.csr, "csr", "", "file to write a request to, for whoever has the key of the root; it must not exist")
	flags.StringVar(&o.signed, "signed", "", "file of the certificate that came of the request, and of those above it")
	return cmd
}

func (o *caIntermediateOptions) request(cmd *cobra.Command) error {
	if err := checkFresh(o.csr); err != nil {
		return err
	}
	return o.edit(cmd, func(_ context.Context, a *ca.Authority) error {
		request, err := a.RequestIntermediate(certs.KeyAlgorithm(o.own.keyType))
		if err != nil {
			return err
		}
		if err := o.writeText(o.csr, certs.EncodeRequest(request)); err != nil {
			return err
		}
		return printer.Lines(o.streams.ErrOut, "wrote "+o.csr, "when it is signed: meshctl ca intermediate --signed FILE")
	})
}

func (o *caIntermediateOptions) take(cmd *cobra.Command) error {
	text, err := os.ReadFile(o.signed)
	if err != nil {
		return err
	}
	chain, err := certs.ParseCertificates(text)
	if err != nil {
		return fmt.Errorf("%s: %w", o.signed, err)
	}
	return o.edit(cmd, func(_ context.Context, a *ca.Authority) error {
		step, warnings, err := a.TakeIntermediate(chain)
		var refused *ca.RefusedError
		if errors.As(err, &refused) {
			return o.refused((&namedBundle{name: o.signed}).verdict(refused.Problems))
		}
		return errors.Join(err, o.warnProblems(warnings), o.printStep(step))
	})
}
