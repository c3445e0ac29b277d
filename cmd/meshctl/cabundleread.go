package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// namedBundle is an authority, where it was found.
type namedBundle struct {
	name   string
	bundle certs.Bundle
	tls    bool   // the layout of tls.crt
	crl    []byte // which is not read in that layout
}

// check finds what is wrong with it, its lists included.
func (b *namedBundle) check(domain string, at time.Time) []certs.Problem {
	problems := b.bundle.CheckFor(domain, at)
	if b.crl != nil {
		problems = append(problems, certs.CheckBundleCRL(b.bundle, b.crl, at)...)
	}
	return problems
}

// verdict is what there is to say of it, by the names of its layout.
func (b *namedBundle) verdict(problems []certs.Problem) verifiedBundle {
	v := verifiedBundle{b.name, "pem", !certs.HasErrors(problems), append([]certs.Problem{}, problems...)}
	if b.tls {
		v.Layout = "tls"
		for i := range v.Problems {
			v.Problems[i].File = certs.TLSPart(v.Problems[i].File)
		}
	}
	return v
}

// bundleReader reads authorities as istiod does.
type bundleReader struct {
	stdin  io.Reader
	secret func(file string) ([]byte, error) // reads files with keys
}

// read finds those of a directory, or of the Secrets of a manifest.
func (r bundleReader) read(path string) ([]namedBundle, error) {
	if path == "-" {
		text, err := io.ReadAll(r.stdin)
		if err != nil {
			return nil, err
		}
		return secretBundles(path, text)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return r.directory(path)
	}
	text, err := r.secret(path)
	if err != nil {
		return nil, err
	}
	return secretBundles(path, text)
}

func secretBundles(path string, text []byte) ([]namedBundle, error) {
	stream, err := manifest.Read(path, text)
	if err != nil {
		return nil, err
	}
	inventory := mesh.Survey([]*manifest.Stream{stream}, mesh.Options{})
	if err := errors.Join(inventory.Problems...); err != nil {
		return nil, err
	}
	var all []namedBundle
	for _, o := range inventory.Objects {
		var secret corev1.Secret
		if o.Kind != "Secret" || o.APIVersion != "v1" {
			continue
		}
		if err := o.Decode(&secret); err != nil {
			return nil, fmt.Errorf("%s: %w", o, err)
		}
		if b, ok := bundleOf(o.String(), func(name string) []byte {
			if text, ok := secret.StringData[name]; ok {
				return []byte(text)
			}
			return secret.Data[name]
		}); ok {
			all = append(all, b)
		}
	}
	if all == nil {
		return nil, fmt.Errorf("%s: no Secret with ca-cert.pem or tls.crt: expected one as istiod reads cacerts", path)
	}
	return all, nil
}

func (r bundleReader) directory(dir string) ([]namedBundle, error) {
	var problems []error
	b, ok := bundleOf(dir, func(name string) []byte {
		read := os.ReadFile
		if name == certs.BundleKey || name == "tls.key" {
			read = r.secret
		}
		text, err := read(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, err)
		}
		return text
	})
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%s: neither ca-cert.pem nor tls.crt is there: expected the files of an authority as istiod reads them", dir)
	}
	return []namedBundle{b}, nil
}

// bundleOf reads the parts by their names; tls.crt wins, as with istiod, which reads
// no revocation lists then (CA-24).
func bundleOf(name string, part func(string) []byte) (namedBundle, bool) {
	if crt := part("tls.crt"); crt != nil {
		return namedBundle{name, certs.TLSBundle(crt, part("tls.key"), part("ca.crt")), true, nil}, true
	}
	b := certs.Bundle{Cert: part(certs.BundleCert), Key: part(certs.BundleKey), Root: part(certs.BundleRoot), Chain: part(certs.BundleChain)}
	return namedBundle{name, b, false, part(certs.BundleCRL)}, b.Cert != nil || b.Key != nil && b.Root != nil
}
