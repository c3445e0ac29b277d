package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// parse runs a command line up to its run hook and gives its error text.
func parse(cmd *cobra.Command, args ...string) string {
	cmd.SetArgs(args)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetOut(&bytes.Buffer{})
	cmd.SetErr(&bytes.Buffer{})
	if err := cmd.Execute(); err != nil {
		return err.Error()
	}
	return ""
}

func TestInjectFlags(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args string
		err  string
		get  func(*injectOptions) any
		want any
	}{
		{"files, repeated and by comma, and arguments", "-f a -f b,c d", "", func(o *injectOptions) any { return o.input.filenames }, []string{"a", "b", "c", "d"}},
		{"no input", "", "no input: give -f FILE, DIRECTORY, ADDRESS or -, or -k DIRECTORY", nil, nil},
		{"kustomization", "-k dir", "", func(o *injectOptions) any { return o.input.kustomize }, "dir"},
		{"selector", "-f a -l app=web", "", func(o *injectOptions) any { return o.input.picks.String() }, "app=web"},
		{"bad selector", "-f a -l =", `selector "=": found '=', expected: !, identifier, or 'end of string'`, nil, nil},
		{"write", "-f a -w --preserve", "", func(o *injectOptions) any { return o.output.write && o.output.preserve }, true},
		{"write is YAML's", "-f a -w -o json", "--preserve and --write go with -o yaml only", nil, nil},
		{"files need a directory", "-f a -o files=", `output "files=": expected yaml, json, patch, kustomize or files=DIRECTORY`, nil, nil},
		{"yaml takes none", "-f a -o yaml=x", `output "yaml=x": expected yaml, json, patch, kustomize or files=DIRECTORY`, nil, nil},
		{"report", "-f a --report xml", `report "xml": expected table, json or none`, nil, nil},
		{"two sources", "-f a --from-cluster --inject-config x", "--from-cluster and --inject-config exclude each other", nil, nil},
		{"kubeconfig alone", "-f a --kubeconfig x", "--kubeconfig is for --from-cluster", nil, nil},
		{"context alone", "-f a --context x", "--context is for --from-cluster", nil, nil},
		{"identity", "-f a --identity file", `identity "file": expected token or secret`, nil, nil},
		{"native sidecars", "-f a --native-sidecars=x", `native sidecars "x": expected true, false or auto`, nil, nil},
		{"Kubernetes version", "-f a --kube-version x", `kube version "x": expected a version such as 1.33`, nil, nil},
		{"settings keep their commas", "-f a --set a.b=1,2", "", func(o *injectOptions) any { return o.injector.set }, []string{"a.b=1,2"}},
		{"bad setting", "-f a --set a", `setting "a": expected path=value, such as global.proxy.logLevel=debug`, nil, nil},
		{"pod template", "-f a --pod-template x", `pod template "x": expected Kind.group=path, such as Rollout.argoproj.io=spec.template`, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got *injectOptions
			cmd := newInjectCmd(genericiooptions.NewTestIOStreamsDiscard(), func(_ context.Context, o *injectOptions) error {
				got = o
				return nil
			})
			if err := parse(cmd, strings.Fields(tt.args)...); err != tt.err {
				t.Fatalf("error %q, want %q", err, tt.err)
			}
			if (got == nil) != (tt.err != "") {
				t.Fatal("the run hook and the error disagree")
			}
			if tt.get != nil {
				if diff := cmp.Diff(tt.want, tt.get(got)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestKubeInjectFlags: the peer's flags, and what they make of the cluster
// (INJ-120, INJ-121, INJ-124).
func TestKubeInjectFlags(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, args, err string
		fromCluster     bool
	}{
		{"a file asks no cluster (INJ-124)", "-f a", "", false},
		{"no file", "", "filename not specified (see --filename or -f)", false},
		{"the last file wins", "-f a -f b", "", false},
		{"kubeconfig", "-f a -c k", "", true},
		{"context", "-f a --context k", "", true},
		{"impersonation", "-f a --as me --as-group g", "", true},
		{"ConfigMap name", "-f a --meshConfigMapName istio-canary", "", true},
		{"files are enough", "-f a --context k --injectConfigFile c", "", false},
		{"webhook", "-f a --webhookConfig w", "--webhookConfig has an istiod inject; meshctl injects itself: give that istiod's ConfigMaps with --injectConfigFile, --valuesFile and --meshConfigFile", false},
		{"arguments", "-f a b", `unexpected argument "b": files are given with -f`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got *kubeInjectOptions
			cmd := newKubeInjectCmd(genericiooptions.NewTestIOStreamsDiscard(), func(_ context.Context, o *kubeInjectOptions) error {
				got = o
				return nil
			})
			if err := parse(cmd, strings.Fields(tt.args)...); err != tt.err {
				t.Fatalf("error %q, want %q", err, tt.err)
			}
			if tt.err == "" && got.injector.fromCluster != tt.fromCluster {
				t.Errorf("asks a cluster: %v, want %v", got.injector.fromCluster, tt.fromCluster)
			}
			if tt.name == "the last file wins" && got.filename != "b" {
				t.Errorf("file %s", got.filename)
			}
		})
	}
}

func TestUninjectFlags(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"-f a":             "",
		"-f a -o patch":    "",
		"":                 "no input: give -f FILE, DIRECTORY, ADDRESS or -, or -k DIRECTORY",
		"-f a -o patch -w": "--preserve and --write go with -o yaml only",
	} {
		ran := false
		cmd := newUninjectCmd(genericiooptions.NewTestIOStreamsDiscard(), func(context.Context, *uninjectOptions) error {
			ran = true
			return nil
		})
		if err := parse(cmd, strings.Fields(args)...); err != want || ran != (want == "") {
			t.Errorf("%q: error %q, ran %v, want %q", args, err, ran, want)
		}
	}
}

func TestExplainFlags(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"deploy/web -f a --iptables": "",
		"-f a -o yaml":               `output "yaml": expected text or json`,
		"a b -f x":                   "accepts at most 1 arg(s), received 2",
	} {
		cmd := newInjectExplainCmd(genericiooptions.NewTestIOStreamsDiscard(), func(context.Context, *injectExplainOptions) error { return nil })
		if err := parse(cmd, strings.Fields(args)...); err != want {
			t.Errorf("%q: error %q, want %q", args, err, want)
		}
	}
}

// TestExitCodes: one place decides, for every command alike.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]exitCode{
		"version":                           exitOK,
		"version -o json":                   exitOK,
		"--help":                            exitOK,
		"nonsense":                          exitFailed,
		"inject":                            exitFailed,
		"inject -f /nonexistent":            exitFailed,
		"version -o toml":                   exitFailed,
		"inject --fail-if-none -f -":        exitNo,
		"inject -f - --report none":         exitOK,
		"uninject --fail-if-none -f -":      exitNo,
		"kube-inject -f -":                  exitOK,
		"inject explain nobody -f -":        exitFailed,
		"inject --write -f - --report=none": exitFailed,
	} {
		streams, in, out, stderr := genericiooptions.NewTestIOStreams()
		in.WriteString("apiVersion: v1\nkind: Service\nmetadata: {name: s}\n")
		if got := execute(context.Background(), streams, "meshctl", strings.Fields(args)); got != want {
			t.Errorf("%s: exit %d, want %d: %s", args, got, want, stderr)
		}
		if want != exitOK && out.Len() > 0 {
			t.Errorf("%s: exit %d, but prints %s", args, want, out)
		}
	}
}

// TestPartialAnswer: something outside of the model decided.
func TestPartialAnswer(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if code := report(&out, fmt.Errorf("x: %w", partial{"half"})); code != exitPart || out.String() != "meshctl: x: half\n" {
		t.Errorf("exit %d: %s", code, out.String())
	}
}

func TestSimulateFlags(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"-f a --requests b":                                 "",
		"-f a --requests - --custom deny":                   "",
		"-f a":                                              "no destination: give --to svc/NAME.NAMESPACE:PORT or --to deploy/NAME.NAMESPACE:PORT",
		"-f a --to svc/b":                                   "no caller: give --from NAMESPACE/SERVICEACCOUNT, --from deploy/NAME.NAMESPACE, --principal SPIFFE-ID or --plaintext",
		"-f a --to svc/b --plaintext":                       "",
		"-f a --to svc/b --from c/d --plaintext":            "--from, --principal and --plaintext exclude each other",
		"-f a --to svc/b --plaintext --tcp --path /":        "--tcp sends bytes that are no HTTP: leave out the flags of HTTP requests",
		"-f a --to svc/b --plaintext --path x":              `path "x": expected a path that starts with /`,
		"-f a --to svc/b --plaintext --source-ip x":         `--source-ip "x": expected an address such as 10.1.2.3`,
		"-f a --to svc/b --plaintext --header x":            `header "x": expected NAME: VALUE`,
		"-f a --to svc/b --plaintext --claim x":             `claim "x": expected NAME=VALUE, such as iss=https://issuer.example or groups=["admin"]`,
		"-f a --to svc/b --plaintext --claim x=1 --token y": "--jwt, --claim and --token exclude each other",
		"-f a --to svc/b --plaintext -o jsonl":              `output "jsonl": expected text, json or yaml; jsonl is for --requests`,
		"-f a --to svc/b --requests c":                      "--to is for one request, and --requests reads many: leave one of them out",
		"-f a --requests c -o json":                         `output "json": with --requests expected jsonl`,
		"-f a --from-cluster --requests c":                  "--from-cluster and manifests exclude each other",
		"-f a --context x --requests c":                     "--context is for --from-cluster",
		"-f a --requests c -n x -A":                         "--namespace and --all-namespaces exclude each other",
		"-f a --requests c --pod-template x":                `pod template "x": expected Kind.group=path, such as Rollout.argoproj.io=spec.template`,
		"--from-cluster --requests c":                       "",
		"--requests b":                                      "no input: give -f FILE, DIRECTORY, ADDRESS or -, or -k DIRECTORY",
		"-f - --requests -":                                 "standard input (-) can be read only once",
		"-f a --requests b --custom x":                      `custom "x": expected allow, deny or error`,
	} {
		cmd := newSimulateCmd(genericiooptions.NewTestIOStreamsDiscard(), func(context.Context, *simulateOptions) error { return nil })
		if err := parse(cmd, strings.Fields(args)...); err != want {
			t.Errorf("%q: error %q, want %q", args, err, want)
		}
	}
}

func TestPolicyTestFlags(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                                   "",
		"tests more -f a -R -n shop":         "",
		"--run a|b --fail-fast -o json=x -v": "",
		"--init -f a dir":                    "",
		"--init -k a new.meshtest.yaml":      "",
		"--run (":                            "run \"(\": error parsing regexp: missing closing ): `(`",
		"-o jsom":                            `output "jsom": expected table, json, yaml, junit, tap, github or markdown: did you mean json?`,
		"--kubeconfig x":                     "--kubeconfig is for --from-cluster",
		"-f a --from-cluster":                "--from-cluster and manifests exclude each other",
		"-n a -A":                            "--namespace and --all-namespaces exclude each other",
		"--pod-template x":                   `pod template "x": expected Kind.group=path, such as Rollout.argoproj.io=spec.template`,
		"--init a b":                         "--init writes one file: name one directory or file",
		"--init -f -":                        "--init writes a test that names its manifests: save them to a file first, and name that with -f",
		"--init -f https://example.com/a":    "--init writes a test that names its manifests: save them to a file first, and name that with -f",
		"--init --from-cluster":              "--init writes a test of manifests: save the cluster's objects to a file first, and name that with -f",
		"--init -A":                          "--all-namespaces is not for --init",
		"--init --run x":                     "--init writes a test file and runs none: leave out --run",
		"--init -o json":                     "--init writes a test file and runs none: leave out --output",
	} {
		ran := false
		cmd := newPolicyTestCmd(genericiooptions.NewTestIOStreamsDiscard(), func(context.Context, *policyTestOptions) error {
			ran = true
			return nil
		})
		if err := parse(cmd, strings.Fields(args)...); err != want || ran != (want == "") {
			t.Errorf("%q: error %q, ran %v, want %q", args, err, ran, want)
		}
	}
}

func TestCoverageFlags(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                       "",
		"tests --threshold 82.5": "",
		"--threshold 101":        "threshold 101: expected 0 to 100",
		"--threshold -1":         "threshold -1: expected 0 to 100",
		"-o junit":               `output "junit": expected table, json, yaml, github or markdown`,
		"--run [":                "run \"[\": error parsing regexp: missing closing ]: `[`",
		"--istio-namespace x":    "--istio-namespace is for --from-cluster",
	} {
		cmd := newCoverageCmd(genericiooptions.NewTestIOStreamsDiscard(), func(context.Context, *coverageOptions) error { return nil })
		if err := parse(cmd, strings.Fields(args)...); err != want {
			t.Errorf("%q: error %q, want %q", args, err, want)
		}
	}
}

// TestEveryCommandExplainsItself: help, and an example for each that does
// something.
func TestEveryCommandExplainsItself(t *testing.T) {
	t.Parallel()
	seen := 0
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
				continue
			}
			seen++
			if c.Short == "" || c.Example == "" {
				t.Errorf("%s: short %q, example %q", c.CommandPath(), c.Short, c.Example)
			}
			walk(c)
		}
	}
	walk(newRootCmd(genericiooptions.NewTestIOStreamsDiscard()))
	if seen < 5 {
		t.Errorf("only %d commands", seen)
	}
}
