package inject_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/inject"
	"github.com/meshctl/meshctl/pkg/manifest"
)

// The laws of injection. In canonical form and with --preserve: injecting says
// the same; uninject takes it back; injecting twice is injecting once; every
// record of an edit leads back to the bytes.

func TestLawsOnExamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../testdata/examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no examples", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for name, options := range map[string][]option{
			"classic": {clean}, "native": {clean, native}, "cni": {clean, values("pilot.cni.enabled=true")},
			"hold":   {clean, values("global.proxy.holdApplicationUntilProxyStarts=true")},
			"secret": {clean, identity(inject.SecretIdentity)}, "revision": {clean, func(_ testing.TB, o *inject.Options) { o.Revision = "canary" }},
		} {
			t.Run(filepath.Base(file)+"/"+name, func(t *testing.T) {
				t.Parallel()
				laws(t, defaults(t, options...), text)
			})
		}
	}
}

// TestLawsOnRandomWorkloads writes workloads as people do, in every manner.
func TestLawsOnRandomWorkloads(t *testing.T) {
	t.Parallel()
	engines := []*inject.Injector{defaults(t, clean), defaults(t, clean, native)}
	for seed := range uint64(150) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 0))
			text := randomWorkload(r)
			defer func() {
				if t.Failed() {
					t.Logf("the workload:\n%s", text)
				}
			}()
			laws(t, engines[seed%2], []byte(text))
		})
	}
}

func laws(t *testing.T, i *inject.Injector, text []byte) {
	t.Helper()
	injected := canonical(t, i.Document, text)
	if again := canonical(t, i.Document, injected); !bytes.Equal(again, injected) {
		t.Errorf("injecting twice differs from once (-once +twice):\n%s", diff(injected, again))
	}
	// A probe's port that had a name comes back as the number it means.
	original := bytes.ReplaceAll(canonical(t, unchanged, text), []byte("            port: http\n"), []byte("            port: 8080\n"))
	if back := canonical(t, uninject, injected); !bytes.Equal(back, original) {
		t.Errorf("uninject of inject is not the original (-original +got):\n%s", diff(original, back))
	}
	edited := preserved(t, i.Document, text)
	if same := canonical(t, unchanged, edited); !bytes.Equal(same, injected) {
		t.Errorf("--preserve says something else (-canonical +preserved):\n%s", diff(injected, same))
	}
	if twice := preserved(t, i.Document, edited); !bytes.Equal(twice, edited) {
		t.Errorf("--preserve twice differs from once (-once +twice):\n%s", diff(edited, twice))
	}
	if back := preserved(t, uninject, edited); !bytes.Equal(back, text) {
		t.Errorf("uninject --preserve does not give the bytes back (-original +got):\n%s", diff(text, back))
	}
	additionsOnly(t, text, edited)
}

// additionsOnly: every line of the original stays in the edited text, in
// order, but for the few whose own value injection changes.
func additionsOnly(t *testing.T, original, edited []byte) {
	t.Helper()
	lines := strings.Split(string(edited), "\n")
	lost := 0
	for line := range strings.Lines(string(original)) {
		line = strings.TrimRight(line, "\n")
		at := 0
		for at < len(lines) && lines[at] != line {
			at++
		}
		if at == len(lines) {
			lost++
			continue
		}
		lines = lines[at+1:]
	}
	if total := bytes.Count(original, []byte("\n")); lost > total/3+6 {
		t.Errorf("%d of %d lines of the original are not there any more", lost, total)
	}
}

func diff(a, b []byte) string {
	return cmp.Diff(strings.Split(string(a), "\n"), strings.Split(string(b), "\n"))
}

// randomWorkload is one workload in a random manner of writing. It leaves out
// what injection is known to lose (docs/compatibility.md): labels that it
// derives itself, and probes' names of ports.
func randomWorkload(r *rand.Rand) string {
	pick := func(choices ...string) string { return choices[r.IntN(len(choices))] }
	maybe := func(text string) string {
		if r.IntN(2) == 0 {
			return ""
		}
		return text
	}
	spec := maybe("serviceAccountName: web\n") + maybe("# who may call\nterminationGracePeriodSeconds: 5   # seconds\n") +
		maybe("nodeSelector: {disk: 'ssd'}\n") +
		maybe("initContainers:\n- name: setup\n  image: \"setup:1\"\n  command: [sh, -c, \"echo 'a: b'\"]\n") +
		"containers:\n" + pick("", "# the application\n") + "- name: app\n" + pick("  image: app:1\n", "  image: 'app:1'  # pinned\n", "  image: \"app@sha256:00\"\n") +
		maybe("  ports:\n  - containerPort: 8080\n    name: http\n") +
		maybe("  env:\n  - {name: A, value: \"1\"}\n  # secret\n  - name: B\n    valueFrom: {secretKeyRef: {name: s, key: k}}\n") +
		maybe("  readinessProbe:\n    httpGet: {path: /ready, port: 8080}\n    periodSeconds: 3\n") +
		maybe("  livenessProbe: {tcpSocket: {port: 8080}}  # cheap\n") +
		maybe("  startupProbe:\n    grpc:\n      port: 9000\n") +
		maybe("  lifecycle:\n    preStop:\n      httpGet: {path: /bye, port: 8080}\n") +
		maybe("  args:\n  - |\n    line one\n      line two\n  - --flag\n") +
		maybe("  resources:\n    limits: {cpu: 500m, memory: 64Mi}\n") +
		maybe("  volumeMounts:\n  - {name: data, mountPath: /data}\n") +
		maybe("- name: second\n  image: second:1\n  livenessProbe:\n    exec:\n      command: [\"true\"]\n") +
		maybe("- name: istio-proxy\n  image: auto\n  resources:\n    requests:\n      cpu: 7m\n") +
		maybe("volumes:\n- name: data\n  emptyDir: {}\n") + maybe("imagePullSecrets:\n- name: registry\n") +
		maybe("\n# the end\n")
	if strings.Contains(spec, "mountPath: /data") && !strings.Contains(spec, "volumes:") {
		spec += "volumes: [{name: data, emptyDir: {}}]\n"
	}
	metadata := "labels:\n  app: web\n" + maybe("  tier: \"front\"   # ours\n") +
		maybe("annotations:\n  note: 'it''s'\n"+maybe("  prometheus.io/port: \"9090\"\n")+maybe("  prometheus.io/path: /m # metrics\n")+maybe("  traffic.sidecar.istio.io/excludeOutboundPorts: \"9042\"\n"))
	switch r.IntN(3) {
	case 0:
		return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n" + indented(metadata, 2) + "spec:\n" + indented(spec, 2)
	case 1:
		return "# a workload\n---\napiVersion: apps/v1\nkind: " + pick("Deployment", "DaemonSet", "ReplicaSet") + "\nmetadata: {name: d}   # short\nspec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata:\n" +
			indented(metadata, 6) + "    spec:\n" + indented(spec, 6) + maybe("---\nkind: Other # passes\napiVersion: x/v1\n")
	}
	return "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: j\n  namespace: jobs\nspec:\n  template:\n    spec:\n" + indented(spec, 6) + "      restartPolicy: Never\n    metadata:\n" + indented(metadata, 6)
}

func indented(text string, by int) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			out.WriteString(strings.Repeat(" ", by))
		}
		out.WriteString(line)
	}
	return out.String()
}

// TestOrderAndWorkers: documents come out in the order they came in, however
// many workers there are, and all errors are told.
func TestOrderAndWorkers(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for n := range 200 {
		fmt.Fprintf(&text, "apiVersion: v1\nkind: Pod\nmetadata: {name: p%03d}\nspec: {}\n---\n", n)
	}
	out := run(t, defaults(t, config(marker)).Document, []byte(text.String()))
	for n, o := range out.Outcomes() {
		if want := fmt.Sprintf("p%03d", n); o.Object.Name != want {
			t.Fatalf("object %d is %s", n, o.Object.Name)
		}
	}
	bad := strings.ReplaceAll(text.String(), "{}", "{containers: 1}")
	s, err := manifest.Read("app.yaml", []byte(bad))
	if err != nil {
		t.Fatal(err)
	}
	_, err = inject.Run(context.Background(), []*manifest.Stream{s}, defaults(t, config(marker)).Document)
	if err == nil || strings.Count(err.Error(), "\n") != 199 || !strings.HasPrefix(err.Error(), "app.yaml:4:20: Pod p000: ") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := inject.Run(ctx, []*manifest.Stream{s}, defaults(t, config(marker)).Document); err == nil || err != context.Canceled { //nolint:errorlint // exactly that one
		t.Errorf("cancelled: %v", err)
	}
}

func decodeJSON(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
