package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/pkg/ca"
)

func newCACmd(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "Run a certificate authority in a directory",
		Long: `A certificate authority for the identities of a mesh, in a directory of yours: an
encrypted root, an intermediate that signs, and a log of all that was issued. Make
one with init, or import a root or an intermediate that you have.

It opens the root for init, import, intermediate, crl, rotate and passphrase only,
which ask for its passphrase. The directory is --dir, MESHCTL_CA_DIR, or
meshctl/ca in the user's configuration directory.`,
		Example: `  meshctl ca init
  meshctl ca issue -f manifests/ -o files=certs
  meshctl ca status`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f := &caFlags{streams: streams}
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.dir, "dir", "", "directory of the authority (MESHCTL_CA_DIR)")
	flags.DurationVar(&f.wait, "lock-wait", 10*time.Second, "how long to wait for another meshctl that writes there")
	flags.BoolVar(&f.insecure, "insecure-files", false, "take keys that other users can read")
	flags.StringVar(&f.passphraseFile, "passphrase-file", "", "read the passphrase of the root from a file, which only you can read")
	flags.IntVar(&f.passphraseFD, "passphrase-fd", -1, "read the passphrase of the root from a descriptor")
	cmd.AddCommand(
		newCAInitCmd(f), newCAImportCmd(f), newCAIssueCmd(f), newCASignCmd(f), newCALogCmd(f), newCAStatusCmd(f), newCABundleCmd(f), newCACACertsCmd(f),
		newCAIntermediateCmd(f), newCARotateCmd(f), newCARevokeCmd(f), newCACRLCmd(f), newCABackupCmd(f), newCAPassphraseCmd(f), newCAVerifyCmd(f),
	)
	return cmd
}

// caFlags are those of all commands of an authority.
type caFlags struct {
	streams        genericiooptions.IOStreams
	dir            string
	wait           time.Duration
	insecure       bool
	passphraseFile string
	passphraseFD   int
}

// directory is where the authority is.
func (f *caFlags) directory() (string, error) {
	if f.dir != "" {
		return f.dir, nil
	}
	if dir := os.Getenv("MESHCTL_CA_DIR"); dir != "" {
		return dir, nil
	}
	config, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no directory: give --dir or MESHCTL_CA_DIR: %w", err)
	}
	return filepath.Join(config, "meshctl", "ca"), nil
}

// env is the world as it is.
func (f *caFlags) env(cmd *cobra.Command) ca.Env {
	e := ca.Env{Now: time.Now, Random: rand.Reader, Command: cmd.CommandPath(), Wait: f.wait, InsecureFiles: f.insecure}
	if u, err := user.Current(); err == nil {
		e.Caller = u.Username
	}
	return e
}

// read opens the authority to look at.
func (f *caFlags) read(cmd *cobra.Command) (*ca.Authority, error) {
	dir, err := f.directory()
	if err != nil {
		return nil, err
	}
	return ca.Open(dir, f.env(cmd))
}

// look is read for what only shows it, be its log damaged or not.
func (f *caFlags) look(cmd *cobra.Command) (*ca.Authority, error) {
	dir, err := f.directory()
	if err != nil {
		return nil, err
	}
	return ca.Look(dir, f.env(cmd))
}

// edit opens the authority, does something and closes it.
func (f *caFlags) edit(cmd *cobra.Command, do func(ctx context.Context, a *ca.Authority) error) error {
	dir, err := f.directory()
	if err != nil {
		return err
	}
	a, err := ca.Edit(dir, f.env(cmd))
	if err != nil {
		return err
	}
	return errors.Join(do(cmd.Context(), a), a.Close())
}

// unlock is edit with the root's passphrase, which is nil if there is none. It is
// asked for before the lock is taken: typing takes time.
func (f *caFlags) unlock(cmd *cobra.Command, do func(ctx context.Context, a *ca.Authority, passphrase []byte) error) error {
	seen, err := f.read(cmd)
	if err != nil {
		return err
	}
	var passphrase []byte
	if seen.NeedsPassphrase() {
		if passphrase, err = f.passphrase("Passphrase of the root: "); err != nil {
			return err
		}
	}
	return f.edit(cmd, func(ctx context.Context, a *ca.Authority) error { return do(ctx, a, passphrase) })
}

// passphrase reads it from where the flags say, otherwise from the terminal.
func (f *caFlags) passphrase(prompt string) ([]byte, error) {
	switch {
	case f.passphraseFile != "":
		text, err := ca.ReadSecret(f.passphraseFile, f.insecure)
		return firstLine(text), err
	case f.passphraseFD >= 0:
		file := os.NewFile(uintptr(f.passphraseFD), "passphrase")
		if file == nil {
			return nil, fmt.Errorf("descriptor %d: there is none", f.passphraseFD)
		}
		text, err := ca.ReadSecretFrom(file)
		return firstLine(text), errors.Join(err, file.Close())
	}
	return f.ask(prompt)
}

// ask reads a passphrase from the terminal, unseen.
func (f *caFlags) ask(prompt string) ([]byte, error) {
	in, ok := f.streams.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil, errors.New("no passphrase: there is no terminal to ask at; give --passphrase-file or --passphrase-fd")
	}
	if _, err := fmt.Fprint(f.streams.ErrOut, prompt); err != nil {
		return nil, err
	}
	text, err := term.ReadPassword(int(in.Fd()))
	_, _ = fmt.Fprintln(f.streams.ErrOut) // the line that was not seen to end
	return text, err
}

// firstLine is what a passphrase is of a file.
func firstLine(text []byte) []byte {
	for i, b := range text {
		if b == '\n' || b == '\r' {
			return text[:i]
		}
	}
	return text
}
