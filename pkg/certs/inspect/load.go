package inspect

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/report"
)

// Loader reads files, folders and standard input.
type Loader struct {
	Options
	Stdin io.Reader
}

// Load reads what the paths name. Files are taken for one group, unless they hold
// objects or dumps, which are groups of their own; so is each folder.
func (l Loader) Load(paths []string) ([]Group, error) {
	var files, others []Group
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case path == "-":
		case err != nil:
			return nil, err
		case info.IsDir():
			found, err := l.folder(path)
			if err != nil {
				return nil, err
			}
			others = append(others, found...)
			continue
		}
		groups, err := l.file(path)
		if err != nil {
			return nil, err
		}
		if len(groups) == 1 && groups[0].Name == path && !groups[0].isDump() {
			files = append(files, groups...)
		} else {
			others = append(others, groups...)
		}
	}
	switch len(files) {
	case 0:
		return others, nil
	case 1:
		return append(files, others...), nil
	}
	return append([]Group{Merge(strings.Join(paths, ", "), files...)}, others...), nil
}

func (g *Group) isDump() bool {
	return slices.ContainsFunc(g.Entries, func(e Entry) bool { return e.Form == Dump })
}

func (l Loader) file(path string) ([]Group, error) {
	if path == "-" {
		text, err := io.ReadAll(io.LimitReader(l.Stdin, maxSize+1))
		if err != nil {
			return nil, err
		}
		return Read(path, text, l.Options)
	}
	file, err := os.Open(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err != nil {
		return nil, err
	}
	groups, err := Read(path, text, l.Options)
	for i := range groups {
		groups[i].checkFile(path)
	}
	return groups, err
}

// checkFile warns of private keys that others can read (CA-55).
func (g *Group) checkFile(path string) {
	const others = 0o077
	at := slices.IndexFunc(g.Entries, func(e Entry) bool { return e.Key != nil })
	info, err := os.Lstat(path)
	if at < 0 || err != nil {
		return
	}
	p := certs.Problem{Code: "loose-permissions", Severity: certs.SeverityWarning, Fix: "chmod 600 " + path}
	switch mode := info.Mode(); {
	case mode&os.ModeSymlink != 0:
		p.Message, p.Fix = "the file of the private key is a symbolic link: whoever can change it chooses the key", "name the file that it points to"
	case runtime.GOOS != "windows" && mode.IsRegular() && mode.Perm()&others != 0:
		p.Message = fmt.Sprintf("others can read the file of the private key: its mode is %04o", mode.Perm())
	default:
		return
	}
	g.Findings = append(g.Findings, newFinding(g.Entries[at].Place, p))
}

// folder reads the files below a directory; the files of each folder belong
// together. What holds nothing to inspect is left alone.
func (l Loader) folder(root string) ([]Group, error) {
	byDir := map[string]*Group{}
	var order []string
	var others []Group
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !readable(path) {
			return err
		}
		groups, err := l.file(path)
		if err != nil {
			return err
		}
		for _, g := range groups {
			if g.Name != path || g.isDump() {
				others = append(others, g)
				continue
			}
			dir := filepath.Dir(path)
			if byDir[dir] == nil {
				byDir[dir] = &Group{Name: dir}
				order = append(order, dir)
			}
			*byDir[dir] = Merge(dir, *byDir[dir], g)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var all []Group
	for _, dir := range order {
		all = append(all, *byDir[dir])
	}
	if len(all)+len(others) == 0 {
		return nil, &report.InputError{Location: report.Location{File: root}, Err: errors.New("no certificate, request or key in this directory"), Hint: howToGive}
	}
	return append(all, others...), nil
}

// readable tells files by their names; of those that could hold anything, by what
// they mention.
func readable(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".pem", ".crt", ".cer", ".der", ".key", ".csr", ".p12", ".pfx":
		return true
	case ".json", ".yaml", ".yml", ".jwks":
		text, err := os.ReadFile(path) //nolint:gosec // below the directory that the user names
		return err == nil && mentions(text)
	}
	return false
}

// mentions looks for the beginning of PEM, as it is and in base64, and for what
// key sets have.
func mentions(text []byte) bool {
	for _, sign := range []string{"-----BEGIN ", "LS0tLS1CRUdJTi", `"kty"`} {
		if bytes.Contains(text, []byte(sign)) {
			return true
		}
	}
	return false
}

// Chain is the group of certificates that a server sent.
func Chain(name string, all []*x509.Certificate) Group {
	g := Group{Name: name}
	for _, c := range all {
		g.Entries = append(g.Entries, Entry{Place: Place{Location: report.Location{File: name}}, Form: Live, Part: name, Certificate: c})
	}
	return g
}
