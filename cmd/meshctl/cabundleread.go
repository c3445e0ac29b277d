package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

// namedBundle is an authority, where it was found.
type namedBundle struct {
	name   string
	bundle certs.Bundle
	tls    bool   // the layout of tls.crt
	crl    []byte // which is not read in that layout
	// files are what the user calls the parts, where these are single files.
	files map[string]string
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
	}
	var names []string
	for _, part := range []string{certs.BundleCert, certs.BundleKey, certs.BundleRoot, certs.BundleChain, certs.BundleCRL} {
		names = append(names, part, b.called(part))
	}
	words := strings.NewReplacer(names...)
	for i := range v.Problems {
		p := &v.Problems[i]
		if p.Code == "missing" && strings.HasPrefix(b.called(p.File), "--") {
			p.Fix = "give " + b.called(p.File) + " FILE"
		}
		p.File, p.Message, p.Fix = b.called(p.File), words.Replace(p.Message), words.Replace(p.Fix)
	}
	return v
}

// called is what the user calls a part.
func (b *namedBundle) called(part string) string {
	if name := b.files[part]; name != "" {
		return name
	}
	if b.tls {
		return certs.TLSPart(part)
	}
	return part
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
	if blocks, _ := certs.ScanBlocks(text); len(blocks) > 0 {
		return nil, &meshreport.InputError{
			Location: meshreport.Location{File: path}, Err: errors.New("one file of PEM, and an authority is several, or a Secret"),
			Hint: "give the directory that they are in: " + filepath.Dir(path),
		}
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
		if o.Kind != "Secret" || o.APIVersion != "v1" {
			continue
		}
		b, ok, err := secretBundle(o)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, b)
		}
	}
	if all == nil {
		return nil, fmt.Errorf("%s: no Secret with ca-cert.pem or tls.crt: expected one as istiod reads cacerts", path)
	}
	return all, nil
}

// secretBundle reads a Secret. It decodes the parts itself: the library does not say
// which of them is no base64.
func secretBundle(o *mesh.Object) (b namedBundle, ok bool, err error) {
	var secret struct {
		Data       map[string]string `json:"data"`
		StringData map[string]string `json:"stringData"`
	}
	if err := o.Decode(&secret); err != nil {
		return b, false, &meshreport.InputError{Location: o.Location, Subject: o.String(), Err: errors.New("data: expected texts"), Hint: "each key of data holds base64, each of stringData a text"}
	}
	var problems []error
	b, ok = bundleOf(o.String(), func(name string) []byte {
		if text, ok := secret.StringData[name]; ok {
			return []byte(text)
		}
		encoded, there := secret.Data[name]
		if !there {
			return nil
		}
		text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		if err != nil {
			problems = append(problems, &meshreport.InputError{
				Location: o.Locate("data", name), Subject: o.String() + ": data: " + name, Err: errors.New("no base64"),
				Hint: "encode it: base64 -w0 FILE; or put the text itself under stringData",
			})
		}
		return text
	})
	return b, ok, errors.Join(problems...)
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
		return namedBundle{name: name, bundle: certs.TLSBundle(crt, part("tls.key"), part("ca.crt")), tls: true}, true
	}
	b := certs.Bundle{Cert: part(certs.BundleCert), Key: part(certs.BundleKey), Root: part(certs.BundleRoot), Chain: part(certs.BundleChain)}
	return namedBundle{name: name, bundle: b, crl: part(certs.BundleCRL)}, b.Cert != nil || b.Key != nil && b.Root != nil
}
