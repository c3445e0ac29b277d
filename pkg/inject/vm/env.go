package vm

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
)

// certificates is where the agent looks for the certificate, its key and the root
// on a machine (CA-47).
const certificates = "/etc/certs"

// environment is what the agent's start script and the agent read (INJ-111).
func (b *builder) environment(config *meshconfig.ProxyConfig) map[string]string {
	all := maps.Clone(config.ProxyMetadata)
	maps.Copy(all, map[string]string{
		"ISTIO_INBOUND_PORTS":       b.inboundPorts(),
		"ISTIO_LOCAL_EXCLUDE_PORTS": excludedPorts(config),
		"ISTIO_NAMESPACE":           b.group.Namespace,
		"ISTIO_SERVICE":             b.group.Name + "." + b.group.Namespace,
		"ISTIO_SERVICE_CIDR":        "*",
		"SERVICE_ACCOUNT":           account(b.group),
	})
	if b.revisioned() {
		all["CA_ADDR"] = b.istiodAddress()
	}
	if b.Address.IP.IsValid() {
		all["ISTIO_SVC_IP"] = b.Address.IP.String()
		if b.Address.External {
			all["REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION"] = "true"
		}
	}
	addIdentity(all)
	return all
}

// addIdentity tells the agent to use the certificate instead of a token. What the
// mesh or the group says of it stays. By PROV_CERT the agent shows the certificate
// to istiod, asks for the next and puts that in its place; with FILE_MOUNTED_CERTS
// it asks nobody. The agent starts with one of the two only, and its start script
// sets a variable that is not there, but leaves an empty one alone.
func addIdentity(all map[string]string) {
	place := certificates
	if fileMounted(all) {
		place = ""
	}
	for _, key := range []string{"PROV_CERT", "OUTPUT_CERTS"} {
		if _, given := all[key]; !given {
			all[key] = place
		}
	}
}

// fileMounted tells whether the agent is told to ask nobody for certificates.
func fileMounted(variables map[string]string) bool {
	mounted, err := strconv.ParseBool(variables["FILE_MOUNTED_CERTS"])
	return err == nil && mounted
}

// inboundPorts are the ports whose traffic the sidecar takes: the group's, or all.
func (b *builder) inboundPorts() string {
	var numbers []uint32
	for _, p := range b.ports() {
		numbers = append(numbers, p.Number)
	}
	if numbers == nil {
		return "*"
	}
	slices.Sort(numbers)
	var all []string
	for _, n := range slices.Compact(numbers) {
		all = append(all, fmt.Sprint(n))
	}
	return strings.Join(all, ",")
}

// excludedPorts bypass the sidecar: SSH, since a machine must stay within reach
// whatever goes wrong, those of the sidecar itself, and what the mesh or the group
// adds to them.
func excludedPorts(config *meshconfig.ProxyConfig) string {
	status := config.StatusPort
	if status == 0 {
		const usual = 15020
		status = usual
	}
	all := []string{"22", "15090", "15021", fmt.Sprint(status)}
	for _, more := range strings.Split(config.ProxyMetadata["ISTIO_LOCAL_EXCLUDE_PORTS"], ",") {
		all = append(all, strings.TrimSpace(more))
	}
	var once []string
	for _, p := range all {
		if p != "" && !slices.Contains(once, p) {
			once = append(once, p)
		}
	}
	return strings.Join(once, ",")
}

// envText is a file for a shell to read, its lines sorted.
func envText(all map[string]string) []byte {
	lines := make([]string, 0, len(all))
	for key, value := range all {
		lines = append(lines, key+"="+quote(value)+"\n")
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, ""))
}

// quote makes a value one word of a shell, in which nothing has a meaning.
func quote(value string) string { return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'" }

// isVariable tells whether a shell can have a variable of this name.
func isVariable(name string) bool {
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}
