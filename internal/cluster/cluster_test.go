package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/internal/cluster"
)

// kubeconfig names one cluster, "test".
func kubeconfig(t *testing.T, server string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: test\ncontexts: [{name: test, context: {cluster: test, user: me}}]\nclusters: [{name: test, cluster: {server: %q}}]\nusers: [{name: me, user: {token: t}}]\n", server)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConfigMap(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/api/v1/namespaces/istio-system/configmaps/istio":
			_, _ = fmt.Fprintf(w, `{"apiVersion":"v1","kind":"ConfigMap","data":{"as":%q}}`, r.Header.Get("Impersonate-User"))
		case "/api/v1/namespaces/istio-system/configmaps/hangs":
			<-hang
		case "/api/v1/namespaces/istio-system/configmaps/forbidden":
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"not for you","code":403}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
		}
	}))
	defer server.Close()
	defer close(hang)
	client, err := cluster.Connect(cluster.Access{
		Kubeconfig: kubeconfig(t, server.URL), Impersonate: cluster.Impersonation{UserName: "admin"}, Timeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := client.ConfigMap(context.Background(), "istio-system", "istio"); err != nil || m.Data["as"] != "admin" {
		t.Errorf("%v, %v", m, err)
	}
	for name, want := range map[string]string{
		"none":      "cluster " + server.URL + " has no ConfigMap istio-system/none: is Istio installed there, with this --revision and --istio-namespace?",
		"forbidden": "cluster " + server.URL + ": ConfigMap istio-system/forbidden (timeout 1s): not for you",
		"hangs":     "cluster " + server.URL + ": ConfigMap istio-system/hangs (timeout 1s): ",
	} {
		start := time.Now()
		if _, err := client.ConfigMap(context.Background(), "istio-system", name); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

func TestConnectErrors(t *testing.T) {
	t.Parallel()
	if _, err := cluster.Connect(cluster.Access{Kubeconfig: "/nonexistent"}); err == nil || !strings.HasPrefix(err.Error(), "kubeconfig: ") {
		t.Errorf("no file: %v", err)
	}
	if _, err := cluster.Connect(cluster.Access{Kubeconfig: kubeconfig(t, "https://example.com"), Context: "other"}); err == nil || !strings.Contains(err.Error(), `context "other" does not exist`) {
		t.Errorf("no such context: %v", err)
	}
}
