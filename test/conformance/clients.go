package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// recordedClient is what istiod told the sidecar of one client.
type recordedClient struct {
	Client   string            `json:"client"`
	Clusters []recordedCluster `json:"clusters"`
}

type recordedCluster struct {
	Name    string `json:"name"`
	TLS     string `json:"tls"`
	Context *struct {
		SANs []string `json:"sans"`
		SNI  string   `json:"sni"`
	} `json:"context"`
	Endpoints map[string]bool `json:"endpoints"`
}

// scoreClients holds the client side of the model to what istiod sent: use of
// TLS, server name, secure naming, and which endpoints are marked for mTLS.
func scoreClients(out io.Writer, _, dir string) (score, total int, err error) {
	f, err := os.Open(filepath.Join(dir, "want.jsonl"))
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = f.Close() }() // only read
	loaded, err := manifest.Loader{}.Load(context.Background(), []string{filepath.Join(dir, "sets")})
	if err != nil {
		return 0, 0, err
	}
	snapshot, err := mesh.Build(loaded.Streams, mesh.Options{})
	if err != nil {
		return 0, 0, err
	}
	outbound := policy.NewOutbound(snapshot)
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var want recordedClient
		if err := json.Unmarshal(lines.Bytes(), &want); err != nil {
			return score, total, err
		}
		got, err := clientClusters(snapshot, outbound, want.Client)
		if err != nil {
			return score, total, err
		}
		for _, w := range want.Clusters {
			total++
			if w.line() == got[w.Name] {
				score++
			} else if total-score <= 10 {
				_, _ = fmt.Fprintf(out, "MISS clients %s %s:\n  want %s\n  got  %s\n", want.Client, w.Name, w.line(), got[w.Name])
			}
		}
	}
	return score, total, lines.Err()
}

// line is a recorded cluster in one line.
func (c recordedCluster) line() string {
	s := c.TLS
	if c.Context != nil {
		slices.Sort(c.Context.SANs)
		s += fmt.Sprintf(" sni=%s sans=%v", c.Context.SNI, c.Context.SANs)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Endpoints)) {
		s += fmt.Sprintf(" %s=%t", name, c.Endpoints[name])
	}
	return s
}

// clientClusters are all clusters of a client, by name, each in one line.
func clientClusters(s *mesh.Snapshot, o *policy.Outbound, client string) (map[string]string, error) {
	ns, name, _ := strings.Cut(client, "/")
	w := s.Workload(ns, name)
	if w == nil {
		return nil, fmt.Errorf("no client %s", client)
	}
	lines := map[string]string{}
	for _, service := range s.Services {
		for _, port := range service.Ports {
			for _, c := range o.Clusters(policy.Proxy{Namespace: ns, Labels: w.PodLabels}, service, port) {
				lines[fmt.Sprintf("outbound|%d|%s|%s", port.Number, c.Subset, service.Hostname)] = clusterLine(o, c)
			}
		}
	}
	return lines, nil
}

func clusterLine(o *policy.Outbound, c *policy.Cluster) string {
	line := string(c.TLS)
	if c.TLS != policy.NeverTLS {
		names := slices.Sorted(slices.Values(c.Names))
		if names == nil {
			names = []string{}
		}
		line += fmt.Sprintf(" sni=%s sans=%v", c.SNI, names)
	}
	if c.PassesThrough {
		return line // the client picks the endpoint
	}
	var marks []string
	for _, e := range o.Endpoints(c) {
		marks = append(marks, fmt.Sprintf(" %s=%t", e.Workload.Name, o.Offered(c, e)))
	}
	slices.Sort(marks)
	return line + strings.Join(marks, "")
}
