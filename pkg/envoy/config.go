package envoy

import (
	"bytes"
	"encoding/json"
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Config is what the sidecar of one workload is told (EC-1). Its parts may be
// shared with other Configs and must not be changed.
type Config struct {
	Workload  string // NAMESPACE/NAME
	Listeners []*listenerv3.Listener
	Clusters  []*clusterv3.Cluster
	Routes    []*routev3.RouteConfiguration
	Endpoints []*endpointv3.ClusterLoadAssignment

	// direct are who is behind the addresses that clients pick themselves. Istiod
	// sends none of it; without a packet filter nothing else tells where to go.
	direct []*endpointv3.ClusterLoadAssignment
}

// kind is that of the document.
const kind = "EnvoyConfig"

// MarshalJSON writes the document that ParseConfig reads. The same Config always
// gives the same bytes (EC-173).
func (c *Config) MarshalJSON() ([]byte, error) {
	listeners, err := messages(c.Listeners)
	if err != nil {
		return nil, err
	}
	clusters, err := messages(c.Clusters)
	if err != nil {
		return nil, err
	}
	routes, err := messages(c.Routes)
	if err != nil {
		return nil, err
	}
	endpoints, err := messages(c.Endpoints)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Kind      string            `json:"kind"`
		Workload  string            `json:"workload"`
		Listeners []json.RawMessage `json:"listeners"`
		Clusters  []json.RawMessage `json:"clusters"`
		Routes    []json.RawMessage `json:"routes"`
		Endpoints []json.RawMessage `json:"endpoints"`
	}{kind, c.Workload, listeners, clusters, routes, endpoints})
}

// messages are the JSON of each message. protojson varies its blanks on
// purpose, so they are taken out.
func messages[M proto.Message](all []M) ([]json.RawMessage, error) {
	texts := make([]json.RawMessage, len(all))
	for i, m := range all {
		text, err := protojson.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("%T: %w", m, err)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, text); err != nil {
			return nil, err
		}
		texts[i] = compact.Bytes()
	}
	return texts, nil
}

// packed wraps a message that this package made itself, which always fits.
func packed(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		panic(fmt.Sprintf("envoy: %T cannot be packed: %v", m, err)) // unreachable: only invalid UTF-8 fails
	}
	return a
}
