package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/certs/inspect"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

func newCertCmd(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cert",
		Short: "Look at, verify, request and convert certificates; sign tokens",
		Example: `  meshctl cert inspect secret.yaml
  meshctl cert verify web.pem --roots root-cert.pem --service shop/web -f manifests/`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCertInspectCmd(streams, nil), newCertVerifyCmd(streams, nil), newCertCSRCmd(streams, nil), newCertConvertCmd(streams, nil), newCertJWTCmd(streams, nil))
	return cmd
}

// certFlags say which certificates to read.
type certFlags struct {
	streams      genericiooptions.IOStreams
	passwordFile string
	passwordFD   int
	connect      []string
	serverName   string
	timeout      time.Duration

	paths []string
}

func (f *certFlags) registerPassword(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.passwordFile, "password-file", "", "read the password of PKCS #12 from a file, which only you can read (default asks at the terminal)")
	flags.IntVar(&f.passwordFD, "password-fd", -1, "read the password of PKCS #12 from a descriptor")
}

func (f *certFlags) registerConnect(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.connect, "connect", nil, "ask a server, HOST:PORT, for its certificates; repeatable")
	flags.StringVar(&f.serverName, "server-name", "", "name to ask the server of --connect for (default its host)")
	flags.DurationVar(&f.timeout, "connect-timeout", 10*time.Second, "how long to wait for the server of --connect")
}

func (f *certFlags) complete(cmd *cobra.Command, args []string) error {
	f.paths = args
	if len(args)+len(f.connect) == 0 {
		return usagef(cmd, "no input: give a file, a directory or -")
	}
	for _, address := range f.connect {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return usagef(cmd, "--connect %q: expected HOST:PORT", address)
		}
	}
	if len(f.connect) == 0 && f.serverName != "" {
		return usagef(cmd, "--server-name is for --connect")
	}
	return nil
}

// load reads what was named.
func (f *certFlags) load(ctx context.Context) ([]inspect.Group, error) {
	groups, err := f.loader().Load(f.paths)
	if err != nil {
		return nil, err
	}
	for _, address := range f.connect {
		chain, err := f.dial(ctx, address)
		if err != nil {
			return nil, err
		}
		groups = append(groups, inspect.Chain(address, chain))
	}
	return groups, nil
}

func (f *certFlags) loader() inspect.Loader {
	return inspect.Loader{Stdin: f.streams.In, Options: inspect.Options{Password: f.password}}
}

// password opens PKCS #12 files.
func (f *certFlags) password() ([]byte, error) {
	secret := &caFlags{streams: f.streams, passphraseFile: f.passwordFile, passphraseFD: f.passwordFD}
	password, err := secret.passphrase("Password of PKCS #12: ")
	if err != nil && f.passwordFile == "" && f.passwordFD < 0 {
		return nil, errors.New("no password: give --password-file or --password-fd; there is no terminal to ask at")
	}
	return password, err
}

// dial asks a server for its certificates. It is not asked whether they are good:
// that is what the command is for. A server that wants a certificate in turn ends
// the connection after it has sent its own.
func (f *certFlags) dial(ctx context.Context, address string) ([]*x509.Certificate, error) {
	host, _, _ := net.SplitHostPort(address)
	if f.serverName != "" {
		host = f.serverName
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	var chain []*x509.Certificate
	dialer := &tls.Dialer{Config: &tls.Config{
		ServerName: host, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // nothing is sent, and the certificates are what is looked at
		VerifyConnection: func(s tls.ConnectionState) error {
			chain = s.PeerCertificates
			return nil
		},
	}}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err == nil {
		err = connection.Close()
	}
	if len(chain) > 0 {
		return chain, nil
	}
	if err == nil {
		err = errors.New("it sent no certificate")
	}
	return nil, &meshreport.InputError{Location: meshreport.Location{File: address}, Err: err, Hint: "expected a server that speaks TLS from the beginning; --server-name says what to ask it for"}
}

// instant reads a day or a time; "" is now.
func instant(text string) (time.Time, error) {
	if text == "" {
		return time.Now(), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("time %q: expected 2027-01-01 or 2027-01-01T12:00:00Z", text)
}

// severities are what --fail-on takes.
func severities() []string { return []string{certs.SeverityError, certs.SeverityWarning, "none"} }

func checkSeverity(cmd *cobra.Command, severity string) error {
	if !slices.Contains(severities(), severity) {
		return usagef(cmd, "--fail-on %q: expected error, warning or none", severity)
	}
	return nil
}

// findingRows are what is wrong, in a table.
func findingRows(all []inspect.Finding) (headers []string, rows [][]string) {
	for _, f := range all {
		rows = append(rows, []string{f.Severity, f.Rule, f.Code, clean(f.At), clean(f.Message), clean(f.Fix)})
	}
	return []string{"SEVERITY", "RULE", "CODE", "AT", "WHAT", "WAY OUT"}, rows
}
