//go:build release

// Package release builds a snapshot release and tries every way to install it.
package release

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// root is the checkout.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// output runs a program in dir and gives what it prints.
func output(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), env...)
	text, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, text)
	}
	return string(text)
}

// TestRelease builds the snapshot once; its parts look at what came out.
func TestRelease(t *testing.T) {
	output(t, root(t), nil, "goreleaser", "release", "--snapshot", "--clean")
	dist := filepath.Join(root(t), "dist")
	t.Run("archives", func(t *testing.T) { archives(t, dist) })
	t.Run("kubectl plugin", func(t *testing.T) { plugin(t, dist) })
	t.Run("action", func(t *testing.T) { action(t, dist) })
}

// unpack reads an archive whole.
func unpack(t *testing.T, file string) map[string][]byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	if strings.HasSuffix(file, ".zip") {
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			if files[f.Name], err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
		return files
	}
	g, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(g); ; {
		h, err := r.Next()
		if err == io.EOF { //nolint:errorlint // archive/tar's own
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// archives: one for every platform, whole, with static binaries.
func archives(t *testing.T, dist string) {
	sums, err := os.ReadFile(filepath.Join(dist, "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, system := range []string{"linux", "darwin", "windows"} {
		for _, arch := range []string{"amd64", "arm64"} {
			t.Run(system+"/"+arch, func(t *testing.T) {
				name, binary := fmt.Sprintf("meshctl_%s_%s.tar.gz", system, arch), "meshctl"
				if system == "windows" {
					name, binary = strings.TrimSuffix(name, ".tar.gz")+".zip", "meshctl.exe"
				}
				data, err := os.ReadFile(filepath.Join(dist, name))
				if err != nil {
					t.Fatal(err)
				}
				sum := sha256.Sum256(data)
				if !strings.Contains(string(sums), hex.EncodeToString(sum[:])+"  "+name) {
					t.Errorf("checksums.txt has another sum for %s", name)
				}
				files := unpack(t, filepath.Join(dist, name))
				for _, want := range []string{binary, "LICENSE", "README.md", "CHANGELOG.md", "man/meshctl-inject.1", "completions/meshctl.bash", "completions/_meshctl", "completions/meshctl.fish", "completions/meshctl.ps1"} {
					if len(files[want]) == 0 {
						t.Errorf("%s is missing", want)
					}
				}
				if system == "linux" {
					static(t, files[binary])
				}
				if system == runtime.GOOS && arch == runtime.GOARCH {
					file := filepath.Join(t.TempDir(), binary)
					if err := os.WriteFile(file, files[binary], 0o755); err != nil {
						t.Fatal(err)
					}
					if got := output(t, t.TempDir(), nil, file, "version"); !strings.Contains(got, "-snapshot (go") {
						t.Errorf("version prints %s", got)
					}
				}
			})
		}
	}
}

// static: no interpreter, so nothing is loaded when it starts.
func static(t *testing.T, binary []byte) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary is not static")
		}
	}
}

// plugin installs from the Krew manifest as krew does, and calls the plugin
// through kubectl.
func plugin(t *testing.T, dist string) {
	found, err := filepath.Glob(filepath.Join(dist, "krew", "*.yaml"))
	if err != nil || len(found) != 1 {
		t.Fatalf("krew manifests: %v, %v", found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Metadata struct{ Name string }
		Spec     struct {
			Platforms []struct {
				Selector struct{ MatchLabels map[string]string }
				URI      string
				SHA256   string
				Bin      string
			}
		}
	}
	if err := yaml.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	if m.Metadata.Name != "mesh" || len(m.Spec.Platforms) != 6 {
		t.Fatalf("manifest:\n%s", text)
	}
	for _, p := range m.Spec.Platforms {
		archive := filepath.Join(dist, path.Base(p.URI))
		data, err := os.ReadFile(archive)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != p.SHA256 {
			t.Errorf("%s: another checksum", p.URI)
		}
		if p.Selector.MatchLabels["os"] != runtime.GOOS || p.Selector.MatchLabels["arch"] != runtime.GOARCH {
			continue
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "kubectl-"+m.Metadata.Name), unpack(t, archive)[p.Bin], 0o755); err != nil {
			t.Fatal(err)
		}
		env := []string{"PATH=" + dir + string(os.PathListSeparator) + os.Getenv("PATH")}
		example := filepath.Join(root(t), "testdata", "examples", "shop.yaml")
		if got := output(t, dir, env, "kubectl", "mesh", "inject", "--report", "none", "-f", example); !strings.Contains(got, "name: istio-proxy") {
			t.Errorf("kubectl mesh inject prints\n%s", got)
		}
		if got := output(t, dir, env, "kubectl", "mesh", "inject", "--help"); !strings.Contains(got, "kubectl mesh inject -f FILE") {
			t.Errorf("kubectl mesh inject --help prints\n%s", got)
		}
	}
}

// action runs the shell steps of action.yml against the snapshot, and once
// against a release whose checksum is wrong.
func action(t *testing.T, dist string) {
	text, err := os.ReadFile(filepath.Join(root(t), "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var a struct {
		Runs struct {
			Steps []struct{ Name, Run string }
		}
	}
	if err := yaml.Unmarshal(text, &a); err != nil {
		t.Fatal(err)
	}
	if len(a.Runs.Steps) != 2 {
		t.Fatalf("%d steps", len(a.Runs.Steps))
	}
	arch := map[string]string{"amd64": "X64", "arm64": "ARM64"}[runtime.GOARCH]
	step := func(n int, releases string, env ...string) (string, string, error) {
		dir := t.TempDir()
		paths, outputs := filepath.Join(dir, "path"), filepath.Join(dir, "output")
		c := exec.Command("bash", "-c", a.Runs.Steps[n].Run)
		c.Dir = dir
		c.Env = append(os.Environ(), "MESHCTL_RELEASES=file://"+releases, "VERSION=v0", "RUNNER_OS_NAME=Linux", "RUNNER_ARCH_NAME="+arch,
			"RUNNER_TEMP="+dir, "GITHUB_PATH="+paths, "GITHUB_OUTPUT="+outputs)
		c.Env = append(c.Env, env...)
		printed, err := c.CombinedOutput()
		added, _ := os.ReadFile(paths) // absent when the step fails
		return string(printed), strings.TrimSpace(string(added)), err
	}
	releases := t.TempDir()
	if err := os.Symlink(dist, filepath.Join(releases, "v0")); err != nil {
		t.Fatal(err)
	}
	printed, installed, err := step(0, releases)
	if err != nil || !strings.Contains(printed, "meshctl ") || installed == "" {
		t.Fatalf("install: %v, path %q:\n%s", err, installed, printed)
	}
	onPath := "PATH=" + installed + string(os.PathListSeparator) + os.Getenv("PATH")
	example := filepath.Join(root(t), "testdata", "examples", "shop.yaml")

	result := filepath.Join(t.TempDir(), "injected.yaml")
	if printed, _, err := step(1, releases, onPath, "ARGS=inject --set 'global.proxy.logLevel=debug' -f "+example, "OUTPUT="+result); err != nil {
		t.Fatalf("run: %v\n%s", err, printed)
	}
	if injected, err := os.ReadFile(result); err != nil || !bytes.Contains(injected, []byte("proxyLogLevel=debug")) {
		t.Errorf("run: %v\n%s", err, injected)
	}
	if printed, _, err := step(1, releases, onPath, "ARGS=inject --fail-on-skip -f "+example, "OUTPUT="); err == nil || !strings.Contains(printed, "skipped: host networking") {
		t.Errorf("an answer of no does not fail the step: %v\n%s", err, printed)
	}
	if printed, _, err := step(1, releases, onPath, "ARGS=inject -f 'unclosed", "OUTPUT="); err == nil {
		t.Errorf("a broken quote does not fail the step:\n%s", printed)
	}

	tampered := t.TempDir()
	if err := os.MkdirAll(filepath.Join(tampered, "v0"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"checksums.txt", "meshctl_linux_" + runtime.GOARCH + ".tar.gz"} {
		data, err := os.ReadFile(filepath.Join(dist, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, ".txt") {
			data = append(data, 0)
		}
		if err := os.WriteFile(filepath.Join(tampered, "v0", name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if printed, installed, err := step(0, tampered); err == nil || installed != "" {
		t.Errorf("a tampered archive is installed:\n%s", printed)
	}
	if printed, _, err := step(0, releases, "RUNNER_OS_NAME=Windows"); err == nil || !strings.Contains(printed, "::error::") {
		t.Errorf("Windows: %v\n%s", err, printed)
	}
}

// TestActionlint checks the workflows and, through them, the action.
func TestActionlint(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root(t), ".github", "workflows", "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatal("no workflows", err)
	}
	if got := output(t, root(t), nil, "actionlint", files...); got != "" {
		t.Error(got)
	}
	// The check is alive: it knows the action's inputs.
	scratch := t.TempDir()
	output(t, scratch, nil, "git", "init", "-q")
	copied := func(from, to, old, changed string) {
		text, err := os.ReadFile(filepath.Join(root(t), from))
		if err != nil {
			t.Fatal(err)
		}
		to = filepath.Join(scratch, to)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, bytes.Replace(text, []byte(old), []byte(changed), 1), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	copied("action.yml", "action.yml", "", "")
	copied(".github/workflows/action.yml", ".github/workflows/bad.yml", "output: injected.yaml", "outptu: injected.yaml")
	c := exec.Command("actionlint")
	c.Dir = scratch
	if printed, err := c.CombinedOutput(); err == nil || !bytes.Contains(printed, []byte(`input "outptu" is not defined`)) {
		t.Errorf("an unknown input passes: %v\n%s", err, printed)
	}
}

// TestPreCommit runs the hooks in a scratch repository, from a clone of this
// one.
func TestPreCommit(t *testing.T) {
	scratch := t.TempDir()
	git := func(args ...string) string {
		return output(t, scratch, nil, "git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"}, args...)...)
	}
	revision := strings.TrimSpace(output(t, root(t), nil, "git", "rev-parse", "HEAD"))
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(scratch, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(".pre-commit-config.yaml", fmt.Sprintf("repos:\n- repo: %s\n  rev: %s\n  hooks:\n  - id: meshctl-inject-check\n    files: ^good\n  - id: meshctl-inject\n    files: ^good\n", root(t), revision))
	example, err := os.ReadFile(filepath.Join(root(t), "testdata", "examples", "shop.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	write("good.yaml", string(example))
	git("init", "-q")
	git("add", "-A")
	hooks := func() (string, error) {
		c := exec.Command("pre-commit", "run", "--all-files")
		c.Dir = scratch
		printed, err := c.CombinedOutput()
		return string(printed), err
	}
	home := t.TempDir()
	t.Setenv("PRE_COMMIT_HOME", home)
	t.Cleanup(func() { _ = exec.Command("chmod", "-R", "u+w", home).Run() }) // Go's module cache is read-only
	// The first run injects, and pre-commit stops the commit for it.
	if printed, err := hooks(); err == nil || !strings.Contains(printed, "files were modified by this hook") {
		t.Fatalf("the first run: %v\n%s", err, printed)
	}
	injected, err := os.ReadFile(filepath.Join(scratch, "good.yaml"))
	if err != nil || !bytes.Contains(injected, []byte("name: istio-proxy")) {
		t.Fatalf("not injected: %v", err)
	}
	git("add", "-A")
	if printed, err := hooks(); err != nil {
		t.Fatalf("the second run changes something: %v\n%s", err, printed)
	}
	write("good.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: two}\n")
	git("add", "-A")
	if printed, err := hooks(); err == nil || !strings.Contains(printed, "good.yaml:4:18: Deployment web:") {
		t.Errorf("a broken manifest passes: %v\n%s", err, printed)
	}
}
