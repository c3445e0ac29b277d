package cluster

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Resource is a kind of object, and where the API server lists it.
type Resource struct{ Group, Version, Kind, Plural string }

// MeshResources are all that a mesh is made of.
func MeshResources() []Resource {
	const security, networking = "security.istio.io", "networking.istio.io"
	return []Resource{
		{"", "v1", "Namespace", "namespaces"},
		{"", "v1", "Service", "services"},
		{"", "v1", "ServiceAccount", "serviceaccounts"},
		{"", "v1", "Pod", "pods"},
		{"", "v1", "ReplicationController", "replicationcontrollers"},
		{"apps", "v1", "Deployment", "deployments"},
		{"apps", "v1", "StatefulSet", "statefulsets"},
		{"apps", "v1", "DaemonSet", "daemonsets"},
		{"apps", "v1", "ReplicaSet", "replicasets"},
		{"batch", "v1", "Job", "jobs"},
		{"batch", "v1", "CronJob", "cronjobs"},
		{security, "v1", "AuthorizationPolicy", "authorizationpolicies"},
		{security, "v1", "PeerAuthentication", "peerauthentications"},
		{security, "v1", "RequestAuthentication", "requestauthentications"},
		{networking, "v1", "DestinationRule", "destinationrules"},
		{networking, "v1", "Gateway", "gateways"},
		{networking, "v1", "ServiceEntry", "serviceentries"},
		{networking, "v1", "Sidecar", "sidecars"},
		{networking, "v1", "VirtualService", "virtualservices"},
		{networking, "v1", "WorkloadEntry", "workloadentries"},
		{networking, "v1", "WorkloadGroup", "workloadgroups"},
	}
}

func (r Resource) apiVersion() string {
	if r.Group == "" {
		return r.Version
	}
	return r.Group + "/" + r.Version
}

func (r Resource) path() string {
	if r.Group == "" {
		return "/api/" + r.Version + "/" + r.Plural
	}
	return "/apis/" + r.Group + "/" + r.Version + "/" + r.Plural
}

// pageSize is how many objects one answer of the API server holds.
const pageSize = 500

// Host is the address of the API server.
func (c *Client) Host() string { return c.host }

// List reads all objects of a kind, as the JSON of a List. A cluster that does
// not know the kind has none.
func (c *Client) List(ctx context.Context, r Resource) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	items := []json.RawMessage{}
	for next := ""; ; {
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []map[string]json.RawMessage `json:"items"`
		}
		request := c.core.RESTClient().Get().AbsPath(r.path()).Param("limit", fmt.Sprint(pageSize))
		if next != "" {
			request = request.Param("continue", next)
		}
		text, err := request.DoRaw(ctx)
		if apierrors.IsNotFound(err) {
			break
		}
		if err == nil {
			err = json.Unmarshal(text, &page)
		}
		if err != nil {
			return nil, fmt.Errorf("cluster %s: list %s (timeout %s): %w", c.host, r.Plural, c.timeout, err)
		}
		for _, item := range page.Items {
			// Objects within a list do not say what they are.
			item["apiVersion"], item["kind"] = json.RawMessage(`"`+r.apiVersion()+`"`), json.RawMessage(`"`+r.Kind+`"`)
			object, err := json.Marshal(item)
			if err != nil {
				return nil, err
			}
			items = append(items, object)
		}
		if next = page.Metadata.Continue; next == "" {
			break
		}
	}
	return json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
}
