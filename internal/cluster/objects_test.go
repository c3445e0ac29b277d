package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/internal/cluster"
)

// TestList: pages are read to the end, objects say what they are, and a kind
// that the cluster does not know is empty.
func TestList(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Method != http.MethodGet:
			t.Errorf("%s %s: a reader only reads", r.Method, r.URL)
		case r.URL.Path == "/apis/apps/v1/deployments" && r.URL.Query().Get("continue") == "":
			_, _ = fmt.Fprint(w, `{"kind":"DeploymentList","metadata":{"continue":"more"},"items":[{"metadata":{"name":"a"}}]}`)
		case r.URL.Path == "/apis/apps/v1/deployments":
			_, _ = fmt.Fprint(w, `{"kind":"DeploymentList","metadata":{},"items":[{"metadata":{"name":"b"}}]}`)
		case r.URL.Path == "/api/v1/pods":
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"not for you","code":403}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
		}
	}))
	defer server.Close()
	client, err := cluster.Connect(cluster.Access{Kubeconfig: kubeconfig(t, server.URL), Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for plural, want := range map[string]string{
		"deployments": `{"apiVersion":"v1","items":[{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"}},{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"b"}}],"kind":"List"}`,
		"sidecars":    `{"apiVersion":"v1","items":[],"kind":"List"}`,
	} {
		if got, err := client.List(context.Background(), resource(t, plural)); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", plural, got, err, want)
		}
	}
	_, err = client.List(context.Background(), resource(t, "pods"))
	if want := "cluster " + server.URL + ": list pods (timeout 5s): "; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

func resource(t *testing.T, plural string) cluster.Resource {
	t.Helper()
	for _, r := range cluster.MeshResources() {
		if r.Plural == plural {
			return r
		}
	}
	t.Fatal("no such resource")
	return cluster.Resource{}
}
