package envoy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// Table is a list of one kind of resources, in the columns of istioctl
// proxy-config.
type Table struct {
	Name    string     `json:"name"`
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
}

// Tables show what a proxy was told: listeners, clusters, routes, endpoints and,
// of a dump of a running Envoy, secrets without their keys. Now says which
// certificates are valid.
func (d *Dump) Tables(now time.Time) []Table {
	all := []Table{
		{"listeners", []string{"ADDRESSES", "PORT", "MATCH", "DESTINATION"}, rowsOf(d.Listeners, listenerRows)},
		{"clusters", []string{"SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE"}, rowsOf(d.Clusters, clusterRows)},
		{"routes", []string{"NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE"}, d.routeRows()},
		{"endpoints", []string{"ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER"}, d.endpointRows()},
	}
	if d.Secrets != nil {
		columns := []string{"RESOURCE NAME", "TYPE", "STATUS", "VALID CERT", "SERIAL NUMBER", "NOT AFTER", "NOT BEFORE"}
		all = append(all, Table{"secrets", columns, rowsOf(d.Secrets, func(s Secret) [][]string { return secretRows(s, now) })})
	}
	return all
}

// rowsOf are the rows of all resources, sorted.
func rowsOf[T any](all []T, rows func(T) [][]string) [][]string {
	list := [][]string{}
	for _, x := range all {
		list = append(list, rows(x)...)
	}
	return sortedRows(list)
}

func sortedRows(rows [][]string) [][]string {
	slices.SortStableFunc(rows, slices.Compare[[]string])
	return slices.CompactFunc(rows, slices.Equal[[]string])
}

// listenerRows are those of a listener: one for each chain.
func listenerRows(l *listenerv3.Listener) [][]string {
	address, port := l.GetAddress().GetSocketAddress().GetAddress(), strconv.Itoa(int(l.GetAddress().GetSocketAddress().GetPortValue()))
	if l.GetAddress().GetSocketAddress() == nil {
		address, port = AddressWords(l.Address), ""
	}
	var rows [][]string
	for _, c := range l.FilterChains {
		rows = append(rows, []string{address, port, matchWords(c.FilterChainMatch), destination(c)})
	}
	if c := l.DefaultFilterChain; c != nil {
		rows = append(rows, []string{address, port, "ALL", destination(c)})
	}
	if rows == nil {
		rows = [][]string{{address, port, "", "no filter chain"}}
	}
	return rows
}

// matchWords is what a chain takes, in istioctl's words.
func matchWords(m *listenerv3.FilterChainMatch) string {
	var words []string
	if names := m.GetServerNames(); len(names) > 0 {
		words = append(words, "SNI: "+strings.Join(names, ","))
	}
	if p := m.GetTransportProtocol(); p != "" {
		words = append(words, "Trans: "+p)
	}
	if all := m.GetApplicationProtocols(); len(all) > 0 {
		words = append(words, "App: "+strings.Join(all, ","))
	}
	port := ""
	if m.GetDestinationPort() != nil {
		port = ":" + strconv.Itoa(int(m.GetDestinationPort().GetValue()))
	}
	var blocks []string
	for _, c := range m.GetPrefixRanges() {
		blocks = append(blocks, blockWords(c))
	}
	switch {
	case blocks != nil:
		words = append(words, "Addr: "+strings.Join(blocks, ",")+port)
	case port != "":
		words = append(words, "Addr: *"+port)
	}
	if words == nil {
		return "ALL"
	}
	return strings.Join(words, "; ")
}

// destination is where a chain leads.
func destination(c *listenerv3.FilterChain) string {
	for _, f := range c.Filters {
		manager, proxy := &hcmv3.HttpConnectionManager{}, &tcpproxyv3.TcpProxy{}
		switch {
		case f.GetTypedConfig().UnmarshalTo(manager) == nil:
			if name := manager.GetRds().GetRouteConfigName(); name != "" {
				return "Route: " + name
			}
			return inlineRoutes(manager.GetRouteConfig())
		case f.GetTypedConfig().UnmarshalTo(proxy) == nil:
			if proxy.GetCluster() != "" {
				return "Cluster: " + proxy.GetCluster()
			}
			var parts []string
			for _, w := range proxy.GetWeightedClusters().GetClusters() {
				parts = append(parts, fmt.Sprintf("%s (%d)", w.Name, w.Weight))
			}
			return "Clusters: " + strings.Join(parts, ", ")
		}
	}
	return "no known destination"
}

func inlineRoutes(r *routev3.RouteConfiguration) string {
	var parts []string
	for _, h := range r.GetVirtualHosts() {
		for _, one := range h.Routes {
			parts = append(parts, pathWords(one.Match)+" to "+routeTarget(one))
		}
	}
	return "Inline Route: " + strings.Join(parts, "; ")
}

func routeTarget(r *routev3.Route) string {
	switch a := r.GetAction().(type) {
	case *routev3.Route_Route:
		return cmp.Or(a.Route.GetCluster(), "several clusters")
	case *routev3.Route_Redirect:
		return "a redirect"
	case *routev3.Route_DirectResponse:
		return fmt.Sprintf("status %d", a.DirectResponse.GetStatus())
	}
	return "an action that is not known here"
}

func pathWords(m *routev3.RouteMatch) string {
	path := ""
	switch p := m.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Prefix:
		path = p.Prefix + "*"
	case *routev3.RouteMatch_Path:
		path = p.Path
	case *routev3.RouteMatch_PathSeparatedPrefix:
		path = p.PathSeparatedPrefix + "[/*]"
	case *routev3.RouteMatch_SafeRegex:
		path = "regex " + p.SafeRegex.GetRegex()
	default:
		path = "another match"
	}
	if n := len(m.GetHeaders()) + len(m.GetQueryParameters()); n > 0 {
		path += fmt.Sprintf(" and %d conditions", n)
	}
	return path
}

func clusterRows(c *clusterv3.Cluster) [][]string {
	kind := c.GetType().String()
	if c.GetClusterType() != nil {
		kind = c.GetClusterType().GetName()
	}
	row := []string{c.Name, "-", "-", "-", kind, configName(c.GetMetadata().GetFilterMetadata()["istio"], "destination-rule")}
	if parts := strings.Split(c.Name, "|"); len(parts) == 4 {
		row[0], row[1], row[2], row[3] = cmp.Or(parts[3], c.Name), cmp.Or(parts[1], "-"), cmp.Or(parts[2], "-"), parts[0]
	}
	return [][]string{row}
}

// configName is "NAME.NAMESPACE" of the object that istiod says a part is of.
func configName(m *structpb.Struct, kind string) string {
	path := m.GetFields()["config"].GetStringValue()
	parts := strings.Split(path, "/")
	if len(parts) < 3 || parts[len(parts)-2] != kind {
		return ""
	}
	namespace := ""
	if at := slices.Index(parts, "namespaces"); at >= 0 && at+1 < len(parts) {
		namespace = "." + parts[at+1]
	}
	return parts[len(parts)-1] + namespace
}

// routeRows are those of route configurations, inline ones of listeners too.
func (d *Dump) routeRows() [][]string {
	all := slices.Clone(d.Routes)
	for _, l := range d.Listeners {
		for _, c := range l.FilterChains {
			for _, f := range c.Filters {
				m := &hcmv3.HttpConnectionManager{}
				if f.GetTypedConfig().UnmarshalTo(m) == nil && m.GetRouteConfig() != nil {
					all = append(all, m.GetRouteConfig())
				}
			}
		}
	}
	return rowsOf(all, func(r *routev3.RouteConfiguration) [][]string {
		var rows [][]string
		for _, h := range r.VirtualHosts {
			domains := strings.Join(h.Domains, ", ")
			if n := len(h.Domains); n > 2 {
				domains = fmt.Sprintf("%s, %s + %d more...", h.Domains[0], h.Domains[1], n-2)
			}
			for _, one := range h.Routes {
				service := configName(one.GetMetadata().GetFilterMetadata()["istio"], "virtual-service")
				rows = append(rows, []string{r.Name, h.Name, domains, pathWords(one.Match), service})
			}
		}
		return rows
	})
}

// endpointRows are those that a control plane sends, and those of clusters that
// have their own.
func (d *Dump) endpointRows() [][]string {
	all := slices.Clone(d.Endpoints)
	for _, c := range d.Clusters {
		if a := c.GetLoadAssignment(); a != nil {
			all = append(all, &endpointv3.ClusterLoadAssignment{ClusterName: c.Name, Endpoints: a.Endpoints})
		}
	}
	outliers := map[string]bool{}
	for _, c := range d.Clusters {
		outliers[c.Name] = c.OutlierDetection != nil
	}
	return rowsOf(all, func(a *endpointv3.ClusterLoadAssignment) [][]string {
		check := "OFF"
		if outliers[a.ClusterName] {
			check = "ON"
		}
		var rows [][]string
		for _, group := range a.Endpoints {
			for _, e := range group.LbEndpoints {
				rows = append(rows, []string{AddressWords(e.GetEndpoint().GetAddress()), e.HealthStatus.String(), check, a.ClusterName})
			}
		}
		return rows
	})
}

func secretRows(s Secret, now time.Time) [][]string {
	status := "ACTIVE"
	if s.Warming {
		status = "WARMING"
	}
	if s.Certificates == nil {
		return [][]string{{s.Name, s.Kind, status, "-", "-", "-", "-"}}
	}
	var rows [][]string
	for _, c := range s.Certificates {
		valid := strconv.FormatBool(!now.Before(c.NotBefore) && !now.After(c.NotAfter))
		rows = append(rows, []string{s.Name, s.Kind, status, valid, c.Serial, c.NotAfter.Format(time.RFC3339), c.NotBefore.Format(time.RFC3339)})
	}
	return rows
}
