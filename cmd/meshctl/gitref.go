package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/manifest"
)

// repository reads committed files of the git repository around a directory.
// Nothing in it is changed or checked out, and nothing is fetched.
type repository struct{ dir string }

// blob is a file of a commit.
type blob struct{ id, name string }

// load reads the manifest, or the directory of manifests, at a commit. The path
// is from the root of the repository, or from the directory if it begins with
// ./ or ../.
func (r repository) load(ctx context.Context, ref, name string, recursive bool) ([]*manifest.Stream, error) {
	commit, err := r.git(ctx, nil, "rev-parse", "--verify", "--end-of-options", ref+"^{commit}")
	if err != nil {
		return nil, fmt.Errorf("git: no commit %q: %w", ref, err)
	}
	object := strings.TrimSpace(string(commit)) + ":" + rooted(name)
	kind, err := r.git(ctx, nil, "cat-file", "-t", object)
	if err != nil {
		return nil, fmt.Errorf("git: no %s in %s: %w", name, ref, err)
	}
	if strings.TrimSpace(string(kind)) == "blob" {
		text, err := r.git(ctx, nil, "cat-file", "blob", object)
		if err != nil {
			return nil, err
		}
		stream, err := manifest.Read(ref+":"+path.Clean(name), text)
		return []*manifest.Stream{stream}, err
	}
	list := []string{"ls-tree", "-z", "--full-tree"}
	if recursive {
		list = append(list, "-r")
	}
	listed, err := r.git(ctx, nil, append(list, object)...)
	if err != nil {
		return nil, err
	}
	blobs := manifestBlobs(string(listed))
	if len(blobs) == 0 {
		return nil, fmt.Errorf("git: no manifests in %s of %s", name, ref)
	}
	return r.read(ctx, ref+":"+path.Clean(name), blobs)
}

// rooted is the path as git wants it behind a commit.
func rooted(name string) string {
	if name == "." || name == ".." {
		return name + "/"
	}
	return strings.TrimPrefix(name, "/")
}

// manifestBlobs picks the manifests from a listing; links and kustomization
// files are none.
func manifestBlobs(listed string) []blob {
	var all []blob
	for line := range strings.SplitSeq(listed, "\x00") {
		about, name, _ := strings.Cut(line, "\t")
		fields := strings.Fields(about) // mode, type, id
		if len(fields) != 3 || fields[1] != "blob" || fields[0] == "120000" {
			continue
		}
		base := path.Base(name)
		if slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(base)) && !isTestFile(base) && !strings.HasPrefix(base, "kustomization.") {
			all = append(all, blob{fields[2], name})
		}
	}
	return all
}

// read gives the contents of blobs.
func (r repository) read(ctx context.Context, under string, blobs []blob) ([]*manifest.Stream, error) {
	var ids bytes.Buffer
	for _, b := range blobs {
		ids.WriteString(b.id + "\n")
	}
	out, err := r.git(ctx, &ids, "cat-file", "--batch")
	if err != nil {
		return nil, err
	}
	var streams []*manifest.Stream
	var problems []error
	for _, b := range blobs {
		head, rest, _ := bytes.Cut(out, []byte("\n")) // id, type, size
		fields := strings.Fields(string(head))
		if len(fields) != 3 {
			return nil, fmt.Errorf("git cat-file: %s: %s", b.name, head)
		}
		size, err := strconv.Atoi(fields[2])
		if err != nil || size >= len(rest) {
			return nil, fmt.Errorf("git cat-file: %s: cut short", b.name)
		}
		stream, err := manifest.Read(path.Join(under, b.name), rest[:size])
		problems = append(problems, err)
		streams, out = append(streams, stream), rest[size+1:]
	}
	return streams, errors.Join(problems...)
}

// git runs git in the directory and gives what it prints.
func (r repository) git(ctx context.Context, in *bytes.Buffer, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", r.dir}, args...)...) //nolint:gosec // refs and paths are checked, and behind --end-of-options or a commit
	// What a hook of git sets would name another repository, and objects that are
	// missing are not to be fetched.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "GIT_DIR=") || strings.HasPrefix(v, "GIT_WORK_TREE=") || strings.HasPrefix(v, "GIT_INDEX_FILE=")
	})
	cmd.Env = append(cmd.Env, "GIT_NO_LAZY_FETCH=1", "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "LC_ALL=C")
	if in != nil {
		cmd.Stdin = in
	}
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		if text, _, _ := strings.Cut(strings.TrimSpace(problem.String()), "\n"); text != "" {
			return nil, errors.New(strings.TrimPrefix(text, "fatal: "))
		}
		return nil, err
	}
	return out.Bytes(), nil
}
