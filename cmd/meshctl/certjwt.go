package main

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/certs/jwt"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

type certJWTOptions struct {
	streams    genericiooptions.IOStreams
	key        keyFile
	algorithm  string
	issuer     string
	subject    string
	audiences  []string
	claims     []string
	claimsFile string
	expires    time.Duration
	name       string
	namespace  string
	output     formatFlag[signed]
	now        func() time.Time
}

// signed is a token and what verifies it.
type signed struct {
	signer *jwt.Signer
	claims jwt.Claims
	now    time.Time

	issuer          string
	name, namespace string
}

func newCertJWTCmd(streams genericiooptions.IOStreams, runF func(context.Context, *certJWTOptions) error) *cobra.Command {
	o := &certJWTOptions{streams: streams, now: time.Now}
	o.output.formats = []format[signed]{{"token", printToken}, {"jwks", printJWKS}, {"requestauthentication", printRequestAuthentication}}
	o.output.private = []string{"token"}
	cmd := &cobra.Command{
		Use:   "jwt --key FILE --iss ISSUER",
		Short: "Sign tokens for trying out RequestAuthentication",
		Long: `Sign a token, and print what verifies it: the JWKS, or a RequestAuthentication that
holds it. The key is in a file that only you can read; it is made if it is not
there. It is one for tokens only: that of an authority signs certificates, and is
refused where it lies with its certificate.

--claim NAME=VALUE sets others than iss, sub and aud. A value that is JSON is taken
as such; a dot in a name leads into an object: realm.roles=["a","b"].`,
		Example: `  meshctl cert jwt --key jwt.pem --iss https://issuer.example --sub alice --aud web --claim 'groups=["admin"]'
  meshctl cert jwt --key jwt.pem --iss https://issuer.example -o requestauthentication | kubectl apply -f -
  meshctl cert jwt --key jwt.pem --iss https://issuer.example -o token -o jwks=jwks.json --exp -1h`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.complete(cmd); err != nil {
				return err
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return o.run()
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.key.path, "key", "", "file of the private key, PEM; it is made if it is not there")
	flags.StringVar(&o.algorithm, "alg", "ES256", "how a key that is made signs: ES256 or RS256")
	flags.StringVar(&o.issuer, "iss", "", "issuer")
	flags.StringVar(&o.subject, "sub", "", "subject")
	flags.StringSliceVar(&o.audiences, "aud", nil, "audience; repeatable")
	flags.StringArrayVar(&o.claims, "claim", nil, "another claim, NAME=VALUE; repeatable")
	flags.StringVar(&o.claimsFile, "claims", "", "file of claims, a JSON object; - for standard input")
	flags.DurationVar(&o.expires, "exp", jwt.DefaultTTL, "how long the token lasts; less than 0 makes one that has expired")
	flags.StringVar(&o.name, "name", "meshctl-jwt", "name of the RequestAuthentication")
	flags.StringVarP(&o.namespace, "namespace", "n", "", "namespace of the RequestAuthentication")
	o.key.register(cmd)
	o.output.register(flags)
	return cmd
}

func (o *certJWTOptions) complete(cmd *cobra.Command) error {
	switch {
	case o.key.path == "":
		return usagef(cmd, "no key: give --key FILE; it is made if it is not there")
	case o.algorithm != "ES256" && o.algorithm != "RS256":
		return usagef(cmd, "--alg %q: expected ES256 or RS256", o.algorithm)
	case o.issuer == "" && o.claimsFile == "":
		return usagef(cmd, "no issuer: give --iss, such as https://issuer.example")
	case o.expires == 0:
		return usagef(cmd, "--exp 0s: expected how long the token lasts, such as 1h, or less than 0 for one that has expired")
	}
	if err := o.checkClaims(cmd); err != nil {
		return err
	}
	return o.output.validate(cmd)
}

// checkClaims refuses claims that have a flag of their own: one of the two would be
// dropped. "iat" comes with the time that the token lasts.
func (o *certJWTOptions) checkClaims(cmd *cobra.Command) error {
	flags := map[string]string{"iss": "iss", "sub": "sub", "aud": "aud", "exp": "exp", "iat": "exp"}
	for _, text := range o.claims {
		name, _, _ := strings.Cut(text, "=")
		if flags[name] != "" {
			return usagef(cmd, "--claim %s: give --%s", name, flags[name])
		}
	}
	return nil
}

func (o *certJWTOptions) run() error {
	claims, err := o.all()
	if err != nil {
		return err
	}
	there, err := o.key.exists()
	if err != nil {
		return err
	}
	read := o.key.readForTokens
	if !there {
		read = func() (crypto.Signer, error) { return o.key.make(o.keyAlgorithm()) }
	}
	secret, err := read()
	if err != nil {
		return err
	}
	if !there {
		if err := printer.Lines(o.streams.ErrOut, "made "+o.key.path); err != nil {
			return err
		}
	}
	signer, err := jwt.NewSigner(secret)
	if err != nil {
		return &meshreport.InputError{Location: meshreport.Location{File: o.key.path}, Err: err, Hint: "name a file that is not there: a key is made in it"}
	}
	issuer, _ := claims.Others["iss"].(string)
	if o.issuer != "" {
		issuer = o.issuer
	}
	return o.output.emit(o.streams.Out, signed{signer, claims, o.now(), issuer, o.name, o.namespace})
}

func (o *certJWTOptions) keyAlgorithm() certs.KeyAlgorithm {
	if o.algorithm == "RS256" {
		return certs.RSA2048
	}
	return certs.P256
}

// all are the claims of the file, and those of the flags over them.
func (o *certJWTOptions) all() (jwt.Claims, error) {
	c := jwt.Claims{Issuer: o.issuer, Subject: o.subject, Audiences: o.audiences, TTL: o.expires, Others: map[string]any{}}
	if o.claimsFile != "" {
		text, err := readInput(o.streams.In, o.claimsFile)
		if err != nil {
			return c, err
		}
		if err := json.Unmarshal(text, &c.Others); err != nil || c.Others == nil {
			return c, &meshreport.InputError{Location: meshreport.Location{File: o.claimsFile}, Err: errors.New("expected an object of claims as JSON"), Hint: `such as {"sub": "alice", "groups": ["admin"]}`}
		}
	}
	for _, text := range o.claims {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return c, fmt.Errorf(`claim %q: expected NAME=VALUE, such as groups=["admin"]`, text)
		}
		if err := jwt.SetClaim(c.Others, strings.Split(name, "."), value); err != nil {
			return c, fmt.Errorf("claim %q: %w", text, err)
		}
	}
	return c, nil
}

func printToken(w io.Writer, s signed) error {
	token, err := s.signer.Sign(s.claims, s.now)
	if err != nil {
		return err
	}
	return printer.Lines(w, token)
}

func printJWKS(w io.Writer, s signed) error {
	text, err := s.signer.JWKS()
	if err != nil {
		return err
	}
	return printer.Lines(w, string(text))
}

func printRequestAuthentication(w io.Writer, s signed) error {
	text, err := s.signer.RequestAuthentication(s.issuer, s.claims.Audiences, s.name, s.namespace)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}
