package envoy_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/policy"
	"github.com/meshctl/meshctl/pkg/report"
)

func readOne(t *testing.T, text string) *envoy.Dump {
	t.Helper()
	all, err := envoy.ParseConfig("f", []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return all[0]
}

// What istioctl proxy-config prints is read: all of it as YAML, or one kind.
func TestIstioctl(t *testing.T) {
	t.Parallel()
	c := generate(t, cartPolicies)
	dump := configDump(t, c)
	asYAML, err := yaml.JSONToYAML(dump)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, &readOne(t, string(asYAML)).Config, protocmp.Transform(), sentOnly()); diff != "" {
		t.Errorf("all -o yaml (-written +read):\n%.2000s", diff)
	}
	secrets := readOne(t, `{"dynamicActiveSecrets": [{"name": "default", "secret": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
"name": "default", "tlsCertificate": {"privateKey": {"inlineBytes": "W3JlZGFjdGVkXQ=="}}}}], "dynamicWarmingSecrets": [{"name": "ROOTCA", "secret": {
"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", "name": "ROOTCA", "validationContext": {}}}]}`)
	if diff := cmp.Diff([]envoy.Secret{{Name: "default", Kind: "Cert Chain"}, {Name: "ROOTCA", Kind: "CA", Warming: true}}, secrets.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	if d := readOne(t, `{"bootstrap": {"node": {"id": "sidecar~10.0.0.1~cart-0.shop~x"}}, "lastUpdated": "2026-01-01T00:00:00Z"}`); d.Workload != "shop/cart-0" {
		t.Errorf("bootstrap: %q", d.Workload)
	}
	const status = `{"name": "outbound|80||cart", "addedViaApi": true, "hostStatuses": [{"address": {"socketAddress": {"address": "10.0.0.9", "portValue": 8080}},
"stats": [{"name": "cx_total", "value": "1"}], "healthStatus": {"edsHealthStatus": "HEALTHY"}}, {"address": {"pipe": {"path": "/p"}}, "healthStatus": {"failedOutlierCheck": true}}]}`
	for _, text := range []string{"[" + status + "]", `{"clusterStatuses": [` + status + "]}"} {
		rows := readOne(t, text).Tables(time.Time{})[3].Rows
		want := [][]string{{"10.0.0.9:8080", "HEALTHY", "OFF", "outbound|80||cart"}, {"unix:///p", "UNHEALTHY", "OFF", "outbound|80||cart"}}
		if diff := cmp.Diff(want, rows); diff != "" {
			t.Errorf("endpoints (-want +got):\n%s", diff)
		}
	}
}

// The elements of a section come alone with ?resource=, and say what they are.
func TestDumpElements(t *testing.T) {
	t.Parallel()
	const inner = `"@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "address": {"pipe": {"path": "/p"}}`
	d := readOne(t, `{"configs": [
{"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump.StaticListener", "listener": {`+inner+`, "name": "a"}},
{"name": "b", "active_state": {"listener": {`+inner+`, "name": "b", "tomorrow": 1}}, "warming_state": {}, "@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump.DynamicListener"},
{"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump.DynamicListener", "name": "c", "warming_state": {}},
{"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump.DynamicListener", "name": "d", "draining_state": {}},
{"@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump", "tomorrow": [], "dynamic_warming_clusters": [{"cluster": {"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "w"}}]}
]}`)
	var names []string
	for _, l := range d.Listeners {
		names = append(names, l.Name)
	}
	if diff := cmp.Diff([]string{"a", "b"}, names); diff != "" || len(d.Clusters) > 0 {
		t.Errorf("%d clusters, listeners (-want +got):\n%s", len(d.Clusters), diff)
	}
	if diff := cmp.Diff(map[string]bool{"b": true}, d.Unread); diff != "" {
		t.Errorf("unread (-want +got):\n%s", diff)
	}
	want := []string{
		`listener "b" is in use in an earlier version, the later one is warming`,
		`Listener "b" has the field "tomorrow", which is not known here and left out`,
		`listener "c" is not in use yet, it is warming`,
		`listener "d" is no longer in use, it is draining`,
		`ClustersConfigDump has "tomorrow", which is not known here and left out`,
		`cluster "w" is not in use yet, it is warming`,
	}
	if diff := cmp.Diff(want, d.Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

// A filter that is sent by itself decides as one in its place; one that is not
// there leaves the verdict open.
func TestSentFilters(t *testing.T) {
	t.Parallel()
	read := func(sent string) *envoy.Dump {
		return readOne(t, `{"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.EcdsConfigDump", "ecds_filters": [`+sent+`]},
{"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump", "static_listeners": [{"listener": {"@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
"name": "in", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 80}}, "filter_chains": [{"filters": [
{"name": "guard", "config_discovery": {"type_urls": ["type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC"]}},
{"name": "tcp", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "x", "cluster": "app"}}]}]}}]}]}`)
	}
	const sent = `{"ecds_filter": {"@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig", "name": "guard", "typed_config": {
"@type": "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC", "stat_prefix": "x", "rules": {"action": "DENY", "policies": {"p": {"permissions": [{"any": true}], "principals": [{"any": true}]}}}}}}`
	for text, want := range map[string]policy.Outcome{sent: policy.Refused, "": policy.Unknown} {
		a := envoy.NewEnforcement(read(text), time.Time{}).Evaluate(&policy.Request{To: policy.Destination{Port: 80}})
		if a.Outcome != want && (want != policy.Refused || a.Outcome != policy.Deny) {
			t.Errorf("%s: %+v, want %s", text, a, want)
		}
	}
}

// Dumps are large, so people make them smaller.
func TestGzip(t *testing.T) {
	t.Parallel()
	c := generate(t, cartPolicies)
	var small bytes.Buffer
	w := gzip.NewWriter(&small)
	if _, err := w.Write(configDump(t, c)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, &readOne(t, small.String()).Config, protocmp.Transform(), sentOnly()); diff != "" {
		t.Errorf("(-written +read):\n%.2000s", diff)
	}
	for text, want := range map[string]string{
		small.String()[:small.Len()/2]: "f: gzip: the file is cut off",
		small.String()[:4]:             "f: gzip: the file is cut off",
		"\x1f\x8bjunk and more junk":   "f: gzip: invalid header",
	} {
		if _, err := envoy.ParseConfig("f", []byte(text)); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Whoever brings another file is told how to get a right one.
func TestHowToDump(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{}", `{"hello": 1}`, "no healthy upstream"} {
		_, err := envoy.ParseConfig("f", []byte(text))
		var input *report.InputError
		if !errors.As(err, &input) || !strings.Contains(input.Hint, "pilot-agent request GET") {
			t.Errorf("%q: %v, hint %q", text, err, input.Hint)
		}
	}
}
