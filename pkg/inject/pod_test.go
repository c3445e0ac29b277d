package inject_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/meshctl/meshctl/pkg/inject"
)

// pod is a bare pod with these annotations and this spec, in flow style.
func pod(annotations, spec string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop, annotations: {" + annotations + "}}\nspec: {" + spec + "}\n"
}

const app = "containers: [{name: app, image: x}]"

func TestPrometheus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, annotations string
		options           []option
		want              string // port path scrape
		saved             string // for the agent
	}{
		{"nothing said (INJ-65)", "", nil, "15020 /stats/prometheus true", ""},
		{"the application's own", `prometheus.io/port: "9090", prometheus.io/scrape: "true"`, nil, "15020 /stats/prometheus true", `{"scrape":"true","path":"","port":"9090"}`},
		{"other spellings are the same setting", `prometheus_io_port: "9090", prometheus.io.path: /m`, nil, "15020 /stats/prometheus true", `{"scrape":"","path":"/m","port":"9090"}`},
		{"scrape off", `prometheus.io/scrape: "false"`, nil, "  false", ""},
		{"merging off by annotation", `prometheus.istio.io/merge-metrics: "false"`, nil, "  ", ""},
		{"merging off by mesh config", "", []option{meshConfig("enablePrometheusMerge: false\n")}, "  ", ""},
		{"annotation over mesh config", `prometheus.istio.io/merge-metrics: "true"`, []option{meshConfig("enablePrometheusMerge: false\n")}, "15020 /stats/prometheus true", ""},
		{"agent port from mesh config", "", []option{meshConfig("defaultConfig: {statusPort: 15022}\n")}, "15022 /stats/prometheus true", ""},
		{"agent port already there: re-injection", `prometheus.io/port: "15020", prometheus.io/path: /own`, nil, "15020 /own ", ""},
		{"targets (INJ-66)", `prometheus.istio.io/scrape-targets: "9090, 9091:/m", prometheus.io/port: "1"`, nil, "15020 /stats/prometheus true", `{"scrape":"","path":"/metrics","port":"9090","targets":[{"port":"9090","path":"/metrics"},{"port":"9091","path":"/m"}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, _ := injectPod(t, defaults(t, tt.options...), pod(tt.annotations, app))
			got := strings.Join([]string{p.Annotations["prometheus.io/port"], p.Annotations["prometheus.io/path"], p.Annotations["prometheus.io/scrape"]}, " ")
			if got != tt.want {
				t.Errorf("annotations %q, want %q", got, tt.want)
			}
			if saved := envOf(containerOf(t, p, "istio-proxy"), "ISTIO_PROMETHEUS_ANNOTATIONS"); saved != tt.saved {
				t.Errorf("saved %s, want %s", saved, tt.saved)
			}
		})
	}
}

func TestPrometheusRefusesReservedPorts(t *testing.T) {
	t.Parallel()
	for _, port := range []string{"15000", "15001", "15004", "15006", "15008", "15021", "15053", "15090"} {
		for _, annotation := range []string{`prometheus.io/port: "` + port + `"`, `prometheus.istio.io/scrape-targets: "80,` + port + `"`} {
			got := failure(t, defaults(t), pod(annotation, app))
			if !strings.Contains(got, "failed to process pod: invalid prometheus scrape configuration: port "+port+" is reserved for Istio (") || !strings.HasSuffix(got, ") and cannot be scraped") {
				t.Errorf("%s: %s", annotation, got)
			}
		}
	}
	for _, bad := range []string{"0", "70000", "http"} {
		got := failure(t, defaults(t), pod(`prometheus.istio.io/scrape-targets: "`+bad+`"`, app))
		if !strings.Contains(got, `port "`+bad+`" is not in the range 1..65535`) {
			t.Errorf("%s: %s", bad, got)
		}
	}
	// The agent's port may be another one; it is reserved as well.
	got := failure(t, defaults(t, meshConfig("defaultConfig: {statusPort: 15099}\n")), pod(`prometheus.istio.io/scrape-targets: "15099"`, app))
	if !strings.Contains(got, "port 15099 is reserved for Istio (agent status port)") {
		t.Error(got)
	}
}

func TestSecurePort(t *testing.T) {
	t.Parallel()
	proxy := func(annotations, value string) *corev1.Pod {
		p, _ := injectPod(t, defaults(t), pod(annotations, `containers: [{name: app, image: x}, {name: istio-proxy, image: auto, env: [{name: ENVOY_SECURE_MERGED_METRICS_PORT, value: "`+value+`"}]}]`))
		return p
	}
	const key = "prometheus.istio.io/secure-port"
	if got := proxy("", "15091").Annotations[key]; got != "15091" {
		t.Errorf("annotation %q (INJ-67)", got)
	}
	if got := proxy("", "0").Annotations[key]; got != "" {
		t.Errorf("annotation %q for port 0", got)
	}
	if got := proxy(`prometheus_istio_io_secure_port: "1"`, "15091").Annotations[key]; got != "" {
		t.Errorf("annotation %q beside another spelling", got)
	}
}

// probesOf are the proxy's saved probers and the application's probes.
func probesOf(t *testing.T, p *corev1.Pod) (saved map[string]json.RawMessage, app corev1.Container) {
	t.Helper()
	if text := envOf(containerOf(t, p, "istio-proxy"), "ISTIO_KUBE_APP_PROBERS"); text != "" {
		if err := json.Unmarshal([]byte(text), &saved); err != nil {
			t.Fatal(err)
		}
	}
	return saved, containerOf(t, p, "app")
}

func TestProbes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, annotations, container string
		options                      []option
		saved                        map[string]string
		rewritten                    string // of the application's probes and hooks
		warning                      string
	}{
		{
			name: "httpGet (INJ-68c, INJ-68e)", container: "readinessProbe: {timeoutSeconds: 3, periodSeconds: 7, httpGet: {path: /r, port: 80, scheme: HTTPS, host: h, httpHeaders: [{name: a, value: b}]}}",
			saved:     map[string]string{"/app-health/app/readyz": `{"httpGet":{"path":"/r","port":80,"host":"h","scheme":"HTTPS","httpHeaders":[{"name":"a","value":"b"}]},"timeoutSeconds":3}`},
			rewritten: "readinessProbe:\n  httpGet:\n    host: h\n    httpHeaders:\n    - name: a\n      value: b\n    path: /app-health/app/readyz\n    port: 15020\n    scheme: HTTP\n  periodSeconds: 7\n  timeoutSeconds: 3\n",
		},
		{
			name: "named port (INJ-68d)", container: "ports: [{name: http, containerPort: 8080}], livenessProbe: {httpGet: {port: http}}",
			saved:     map[string]string{"/app-health/app/livez": `{"httpGet":{"port":8080}}`},
			rewritten: "livenessProbe:\n  httpGet:\n    path: /app-health/app/livez\n    port: 15020\n",
		},
		{
			name: "a name that no port has", container: "livenessProbe: {httpGet: {port: nosuch}}",
			rewritten: "livenessProbe:\n  httpGet:\n    path: /app-health/app/livez\n    port: 15020\n",
			warning:   `container "app" has no port named "nosuch": the probe behind /app-health/app/livez cannot be answered and will fail`,
		},
		{
			name: "tcpSocket and grpc (INJ-68b)", container: "startupProbe: {tcpSocket: {port: 1}}, livenessProbe: {grpc: {port: 2, service: s}}",
			saved:     map[string]string{"/app-health/app/startupz": `{"tcpSocket":{"port":1}}`, "/app-health/app/livez": `{"grpc":{"port":2,"service":"s"}}`},
			rewritten: "livenessProbe:\n  httpGet:\n    path: /app-health/app/livez\n    port: 15020\nstartupProbe:\n  httpGet:\n    path: /app-health/app/startupz\n    port: 15020\n",
		},
		{
			name: "exec stays", container: "livenessProbe: {exec: {command: [x]}}",
			rewritten: "livenessProbe:\n  exec:\n    command:\n    - x\n",
		},
		{
			name: "hooks (INJ-68a)", container: "lifecycle: {preStop: {httpGet: {path: /s, port: 1}}, postStart: {tcpSocket: {port: 2}}}",
			saved:     map[string]string{"/app-lifecycle/app/prestopz": `{"httpGet":{"path":"/s","port":1}}`, "/app-lifecycle/app/poststartz": `{"tcpSocket":{"port":2}}`},
			rewritten: "lifecycle:\n  postStart:\n    httpGet:\n      path: /app-lifecycle/app/poststartz\n      port: 15020\n  preStop:\n    httpGet:\n      path: /app-lifecycle/app/prestopz\n      port: 15020\n",
		},
		{
			name: "the agent's own port is rewritten already", container: "livenessProbe: {httpGet: {port: 15020, path: /x}}",
			rewritten: "livenessProbe:\n  httpGet:\n    path: /app-health/app/livez\n    port: 15020\n",
		},
		{
			name: "switched off by annotation", annotations: `sidecar.istio.io/rewriteAppHTTPProbers: "false"`, container: "livenessProbe: {httpGet: {port: 80}}",
			rewritten: "livenessProbe:\n  httpGet:\n    port: 80\n",
		},
		{
			name: "switched off by values", options: []option{values("sidecarInjectorWebhook.rewriteAppHTTPProbe=false")}, container: "livenessProbe: {httpGet: {port: 80}}",
			rewritten: "livenessProbe:\n  httpGet:\n    port: 80\n",
		},
		{
			name: "status port by annotation", annotations: `status.sidecar.istio.io/port: "15055"`, container: "livenessProbe: {tcpSocket: {port: 80}}",
			saved:     map[string]string{"/app-health/app/livez": `{"tcpSocket":{"port":80}}`},
			rewritten: "livenessProbe:\n  httpGet:\n    path: /app-health/app/livez\n    port: 15055\n",
		},
		{
			name: "status port by proxy config (INJ-45)", annotations: `proxy.istio.io/config: "{statusPort: 15022}"`, container: "livenessProbe: {tcpSocket: {port: 80}}",
			saved:     map[string]string{"/app-health/app/livez": `{"tcpSocket":{"port":80}}`},
			rewritten: "livenessProbe:\n  httpGet:\n    path: /app-health/app/livez\n    port: 15022\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, o := injectPod(t, defaults(t, tt.options...), pod(tt.annotations, "containers: [{name: app, image: x, "+tt.container+"}]"))
			saved, app := probesOf(t, p)
			got := map[string]string{}
			for path, text := range saved {
				got[path] = string(text)
			}
			if len(got) == 0 {
				got = nil
			}
			if diff := cmp.Diff(tt.saved, got); diff != "" {
				t.Errorf("saved (-want +got):\n%s", diff)
			}
			app = corev1.Container{ReadinessProbe: app.ReadinessProbe, LivenessProbe: app.LivenessProbe, StartupProbe: app.StartupProbe, Lifecycle: app.Lifecycle}
			rest := strings.NewReplacer("name: \"\"\n", "", "resources: {}\n", "").Replace(asYAML(t, app))
			if diff := cmp.Diff(tt.rewritten, rest); diff != "" {
				t.Errorf("probes (-want +got):\n%s", diff)
			}
			if tt.warning != "" && !slices.Contains(o.Warnings, tt.warning) {
				t.Errorf("warnings %q lack %q", o.Warnings, tt.warning)
			}
		})
	}
}

// TestOrder: where the injected containers stand (INJ-49, INJ-80, INJ-81).
func TestOrder(t *testing.T) {
	t.Parallel()
	const two = "initContainers: [{name: i1, image: x}, {name: i2, image: x}], containers: [{name: a, image: x}, {name: b, image: x}]"
	hold := `proxy.istio.io/config: "{holdApplicationUntilProxyStarts: true}"`
	tests := []struct {
		name, annotations string
		options           []option
		init, containers  string
	}{
		{"classic", "", nil, "i1 i2 istio-init", "a b istio-proxy"},
		{"classic, hold", hold, nil, "i1 i2 istio-init", "istio-proxy a b"},
		{"classic, hold by values", "", []option{values("global.proxy.holdApplicationUntilProxyStarts=true")}, "i1 i2 istio-init", "istio-proxy a b"},
		{"classic with CNI (INJ-161)", "", []option{values("pilot.cni.enabled=true")}, "istio-validation i1 i2", "a b istio-proxy"},
		{"native", "", []option{native}, "istio-init istio-proxy i1 i2", "a b"},
		{"native with CNI", "", []option{native, values("pilot.cni.enabled=true")}, "istio-validation istio-proxy i1 i2", "a b"},
		{"native by annotation", `sidecar.istio.io/nativeSidecar: "true"`, nil, "istio-init istio-proxy i1 i2", "a b"},
		{"classic by annotation", `sidecar.istio.io/nativeSidecar: "false"`, []option{native}, "i1 i2 istio-init", "a b istio-proxy"},
		{"no interception (INJ-93)", "sidecar.istio.io/interceptionMode: NONE", nil, "i1 i2", "a b istio-proxy"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, _ := injectPod(t, defaults(t, tt.options...), pod(tt.annotations, two))
			if got := strings.Join(names(p.Spec.InitContainers), " "); got != tt.init {
				t.Errorf("init containers %s, want %s", got, tt.init)
			}
			if got := strings.Join(names(p.Spec.Containers), " "); got != tt.containers {
				t.Errorf("containers %s, want %s", got, tt.containers)
			}
		})
	}
}

// TestOverrides: the user's own settings of injected containers win (INJ-59,
// INJ-60) and are remembered (INJ-61).
func TestOverrides(t *testing.T) {
	t.Parallel()
	const own = `containers: [{name: app, image: x}, {name: istio-proxy, image: auto, resources: {limits: {cpu: "7"}}, env: [{name: MINE, value: "1"}]}]`
	for name, options := range map[string][]option{"classic": nil, "native": {native}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := injectPod(t, defaults(t, options...), pod("", own))
			proxy := containerOf(t, p, "istio-proxy")
			if proxy.Image == "auto" || proxy.Image == "" || proxy.Resources.Limits.Cpu().String() != "7" || envOf(proxy, "MINE") != "1" || envOf(proxy, "CA_ADDR") == "" {
				t.Errorf("proxy is\n%s", asYAML(t, proxy))
			}
			want := `{"containers":[{"name":"istio-proxy","env":[{"name":"MINE","value":"1"}],"resources":{"limits":{"cpu":"7"}}}]}`
			if name == "native" {
				want = strings.Replace(want, "containers", "initContainers", 1)
			}
			if got := p.Annotations["proxy.istio.io/overrides"]; got != want {
				t.Errorf("remembered %s, want %s", got, want)
			}
		})
	}
	t.Run("own image", func(t *testing.T) {
		t.Parallel()
		p, _ := injectPod(t, defaults(t), pod("", "containers: [{name: istio-proxy, image: own:1}]"))
		if got := containerOf(t, p, "istio-proxy").Image; got != "own:1" {
			t.Errorf("image %s", got)
		}
	})
	t.Run("the annotation's word comes first", func(t *testing.T) {
		t.Parallel()
		p, _ := injectPod(t, defaults(t), pod(`proxy.istio.io/overrides: '{"containers":[{"name":"istio-proxy","tty":true}]}'`, app))
		if !containerOf(t, p, "istio-proxy").TTY {
			t.Error("not applied")
		}
	})
	t.Run("not JSON", func(t *testing.T) {
		t.Parallel()
		if got := failure(t, defaults(t), pod("proxy.istio.io/overrides: nonsense", app)); !strings.Contains(got, "annotation proxy.istio.io/overrides: invalid character") {
			t.Error(got)
		}
	})
}

// TestUser: the proxy's user ID goes to the container that sets up capture
// (INJ-62).
func TestUser(t *testing.T) {
	t.Parallel()
	const spec = "containers: [{name: app, image: x}, {name: istio-proxy, image: auto, securityContext: {runAsUser: 4321, runAsGroup: 4322}}]"
	flag := func(c corev1.Container) string { return c.Args[slices.Index(c.Args, "-u")+1] }
	p, _ := injectPod(t, defaults(t), pod("", spec))
	if c := containerOf(t, p, "istio-init"); flag(c) != "4321" || *c.SecurityContext.RunAsUser != 0 {
		t.Errorf("istio-init: -u %s as user %d", flag(c), *c.SecurityContext.RunAsUser)
	}
	p, _ = injectPod(t, defaults(t, values("pilot.cni.enabled=true")), pod("", spec))
	if c := containerOf(t, p, "istio-validation"); flag(c) != "4321" || *c.SecurityContext.RunAsUser != 4321 || *c.SecurityContext.RunAsGroup != 4322 {
		t.Errorf("istio-validation: %s", asYAML(t, c))
	}
	p, _ = injectPod(t, defaults(t), pod("sidecar.istio.io/interceptionMode: TPROXY", spec))
	if c := containerOf(t, p, "istio-proxy"); *c.SecurityContext.RunAsUser != 0 {
		t.Errorf("TPROXY: proxy runs as %d", *c.SecurityContext.RunAsUser)
	}
}

// TestClusterAndNetwork: INJ-48, INJ-163.
func TestClusterAndNetwork(t *testing.T) {
	t.Parallel()
	i := defaults(t, values("global.network=net1", "global.multiCluster.clusterName=c1"))
	last := func(p *corev1.Pod) string {
		env := containerOf(t, p, "istio-proxy").Env
		n := len(env)
		return env[n-2].Name + "=" + env[n-2].Value + " " + env[n-1].Name + "=" + env[n-1].Value
	}
	p, _ := injectPod(t, i, pod("", app))
	if got := last(p); got != "ISTIO_META_CLUSTER_ID=c1 ISTIO_META_NETWORK=net1" || p.Labels["topology.istio.io/network"] != "net1" {
		t.Errorf("%s, label %s", got, p.Labels["topology.istio.io/network"])
	}
	p, _ = injectPod(t, i, strings.Replace(pod("", app), "annotations: {}", "labels: {topology.istio.io/network: net2}", 1))
	if got := last(p); got != "ISTIO_META_CLUSTER_ID=c1 ISTIO_META_NETWORK=net2" {
		t.Errorf("%s: the pod's label wins", got)
	}
}

// TestStatus: what the templates bring is listed, in the peer's order of
// fields (INJ-69).
func TestStatus(t *testing.T) {
	t.Parallel()
	i := defaults(t, templates(map[string]string{"sidecar": "spec:\n  initContainers: [{name: i}]\n  containers: [{name: c}]\n  volumes: [{name: v}]\n"}))
	p, _ := injectPod(t, i, pod("", app+", imagePullSecrets: [{name: own}]"))
	want := `{"initContainers":["i"],"containers":["c"],"volumes":["v"],"imagePullSecrets":null,"revision":"default"}`
	if got := p.Annotations["sidecar.istio.io/status"]; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestMerge: lists merge by their keys, injected items first (INJ-56, INJ-57),
// and directives work.
func TestMerge(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, template, spec, want string }{
		{"volumes: injected first", "spec: {volumes: [{name: v, emptyDir: {}}]}", "volumes: [{name: own, emptyDir: {}}]", "containers: null\nvolumes:\n- emptyDir: {}\n  name: v\n- emptyDir: {}\n  name: own\n"},
		{"host aliases by address", "spec: {hostAliases: [{ip: 10.0.0.1, hostnames: [new]}]}", "hostAliases: [{ip: 10.0.0.1, hostnames: [old]}, {ip: 10.0.0.2, hostnames: [kept]}]", "containers: null\nhostAliases:\n- hostnames:\n  - new\n  ip: 10.0.0.1\n- hostnames:\n  - kept\n  ip: 10.0.0.2\n"},
		{"tolerations are replaced whole", "spec: {tolerations: [{key: new}]}", "tolerations: [{key: old}, {key: older}]", "containers: null\ntolerations:\n- key: new\n"},
		{"null deletes", "spec: {nodeName: null}", "nodeName: host", "containers: null\n"},
		{"env by name, the user's value wins (INJ-60)", "spec: {containers: [{name: a, env: [{name: X, value: new}, {name: Z, value: new}]}]}", "containers: [{name: a, env: [{name: X, value: old}]}]", "containers:\n- env:\n  - name: X\n    value: old\n  - name: Z\n    value: new\n  name: a\n  resources: {}\n"},
		{"$patch: delete", "spec: {containers: [{name: a, $patch: delete}]}", "containers: [{name: a}, {name: b}]", "containers:\n- name: b\n  resources: {}\n"},
		{"$patch: replace", "spec: {containers: [{$patch: replace}, {name: c}]}", "containers: [{name: a}, {name: b}]", "containers:\n- name: c\n  resources: {}\n"},
		{"pull secrets: injected first", "spec: {imagePullSecrets: [{name: i}]}", "imagePullSecrets: [{name: own}]", "containers: null\nimagePullSecrets:\n- name: i\n- name: own\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, _ := injectPod(t, defaults(t, templates(map[string]string{"sidecar": tt.template})), pod("", tt.spec))
			if diff := cmp.Diff(tt.want, asYAML(t, p.Spec)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestVolumeCollision: a volume of the user's with an injected one's name makes
// a pod that a cluster refuses (INJ-58); that is told.
func TestVolumeCollision(t *testing.T) {
	t.Parallel()
	_, o := injectPod(t, defaults(t), pod("", app+", volumes: [{name: istio-envoy, hostPath: {path: /x}}]"))
	if len(o.Warnings) != 1 || !strings.Contains(o.Warnings[0], `volume "istio-envoy" is also the name of an injected volume`) {
		t.Errorf("warnings %q", o.Warnings)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	_, o := injectPod(t, defaults(t), pod("", app+", dnsPolicy: Default"))
	if len(o.Warnings) != 1 || !strings.Contains(o.Warnings[0], `dnsPolicy is "Default", not "ClusterFirst"`) {
		t.Errorf("warnings %q", o.Warnings)
	}
}

// TestReinjection: over an old sidecar the new one is laid, leftovers stay
// (INJ-70..INJ-74); a clean injection leaves none, and keeps overrides.
func TestReinjection(t *testing.T) {
	t.Parallel()
	old := defaults(t, templates(map[string]string{"sidecar": "spec: {containers: [{name: istio-proxy, image: old, env: [{name: STALE, value: \"1\"}]}], volumes: [{name: stale, emptyDir: {}}]}"}))
	own := pod("", "containers: [{name: app, image: x}, {name: istio-proxy, image: auto, tty: true}]")
	first := string(canonical(t, old.Document, []byte(own)))

	p, _ := injectPod(t, defaults(t), strings.TrimSuffix(first, "---\n"))
	if envOf(containerOf(t, p, "istio-proxy"), "STALE") != "1" {
		t.Error("overlay: the peer keeps what the old template set (INJ-72)")
	}
	p, _ = injectPod(t, defaults(t, clean), strings.TrimSuffix(first, "---\n"))
	proxy := containerOf(t, p, "istio-proxy")
	if envOf(proxy, "STALE") != "" || slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == "stale" }) {
		t.Error("clean: leftovers of the old sidecar survive")
	}
	if !proxy.TTY {
		t.Error("clean: the user's override does not survive")
	}
	// Classic to native (INJ-74).
	p, _ = injectPod(t, defaults(t, native), strings.TrimSuffix(first, "---\n"))
	if got := strings.Join(names(p.Spec.InitContainers), " "); got != "istio-init istio-proxy" {
		t.Errorf("init containers %s", got)
	}
}

// TestIdentitySecret: a Secret of Istio 1.0's kind is mounted, and the agent
// told so.
func TestIdentitySecret(t *testing.T) {
	t.Parallel()
	p, _ := injectPod(t, defaults(t, identity(inject.SecretIdentity)), pod("", app+", serviceAccountName: web"))
	proxy := containerOf(t, p, "istio-proxy")
	if envOf(proxy, "FILE_MOUNTED_CERTS") != "true" {
		t.Error("FILE_MOUNTED_CERTS is not set")
	}
	at := slices.IndexFunc(proxy.VolumeMounts, func(m corev1.VolumeMount) bool { return strings.TrimSuffix(m.MountPath, "/") == "/etc/certs" })
	if at < 0 {
		t.Fatal("nothing at /etc/certs")
	}
	v := slices.IndexFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == proxy.VolumeMounts[at].Name })
	secret := p.Spec.Volumes[v].Secret
	if secret == nil || secret.SecretName != "istio.web" || secret.Optional == nil || !*secret.Optional {
		t.Errorf("volume %s", asYAML(t, p.Spec.Volumes[v]))
	}
}

// TestOpenShiftIDs: the proxy's user and group are settings (INJ-63).
func TestOpenShiftIDs(t *testing.T) {
	t.Parallel()
	ids := func(_ testing.TB, o *inject.Options) { o.ProxyUID, o.ProxyGID = 1000620001, 1000620002 }
	p, _ := injectPod(t, defaults(t, ids), pod("", app))
	c := containerOf(t, p, "istio-proxy").SecurityContext
	if *c.RunAsUser != 1000620001 || *c.RunAsGroup != 1000620002 {
		t.Errorf("proxy runs as %d:%d", *c.RunAsUser, *c.RunAsGroup)
	}
	if args := containerOf(t, p, "istio-init").Args; args[slices.Index(args, "-u")+1] != "1000620001" {
		t.Errorf("istio-init: %q", args)
	}
}
