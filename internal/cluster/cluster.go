// Package cluster reads an installation's configuration, and the objects of a
// mesh, from a cluster. It is
// used only where a flag asks for a cluster.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Access says how to reach a cluster.
type Access struct {
	Kubeconfig string // file; empty follows KUBECONFIG and the home directory
	Context    string // empty is the kubeconfig's current one
	// Impersonate makes requests in another user's name; zero is one's own.
	Impersonate Impersonation
	Timeout     time.Duration
}

// Impersonation is a user in whose name requests are made.
type Impersonation = rest.ImpersonationConfig

// Client reads from one cluster.
type Client struct {
	core    typedcorev1.CoreV1Interface
	host    string
	timeout time.Duration
}

// Connect prepares a client. It does not talk to the cluster yet.
func Connect(a Access) (*Client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = a.Kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: a.Context}).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("no kubeconfig found: name one with --kubeconfig or KUBECONFIG")
	}
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	config.Timeout = a.Timeout
	config.Impersonate = a.Impersonate
	core, err := typedcorev1.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	return &Client{core: core, host: config.Host, timeout: a.Timeout}, nil
}

// ConfigMap reads one ConfigMap. Its error says which cluster was asked.
func (c *Client) ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	m, err := c.core.ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("cluster %s has no ConfigMap %s/%s: is Istio installed there, with this --revision and --istio-namespace?", c.host, namespace, name)
	case err != nil:
		return nil, fmt.Errorf("cluster %s: ConfigMap %s/%s (timeout %s): %w", c.host, namespace, name, c.timeout, err)
	}
	return m, nil
}
