package inject

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// The annotations and labels that injection reads or writes.
const (
	annotationInject           = "sidecar.istio.io/inject"
	annotationStatus           = "sidecar.istio.io/status"
	annotationTemplates        = "inject.istio.io/templates"
	annotationOverrides        = "proxy.istio.io/overrides"
	annotationProxyConfig      = "proxy.istio.io/config"
	annotationProxyImage       = "sidecar.istio.io/proxyImage"
	annotationProxyImageType   = "sidecar.istio.io/proxyImageType"
	annotationInterceptionMode = "sidecar.istio.io/interceptionMode"
	annotationNativeSidecar    = "sidecar.istio.io/nativeSidecar"
	annotationRewriteProbers   = "sidecar.istio.io/rewriteAppHTTPProbers"
	annotationStatusPort       = "status.sidecar.istio.io/port"
	annotationMergeMetrics     = "prometheus.istio.io/merge-metrics"
	annotationScrapeTargets    = "prometheus.istio.io/scrape-targets"
	annotationSecurePort       = "prometheus.istio.io/secure-port"
	annotationRevision         = "istio.io/rev"
	labelNetwork               = "topology.istio.io/network"
	annotationDefaultContainer = "kubectl.kubernetes.io/default-container"
	annotationDefaultLogs      = "kubectl.kubernetes.io/default-logs-container"
	annotationPrometheusPort   = "prometheus.io/port"
	annotationPrometheusPath   = "prometheus.io/path"
	annotationPrometheusScrape = "prometheus.io/scrape"
	labelTLSMode               = "security.istio.io/tlsMode"
	labelCanonicalName         = "service.istio.io/canonical-name"
	labelCanonicalRevision     = "service.istio.io/canonical-revision"
	labelTunnel                = "networking.istio.io/tunnel"
)

// validators check the annotations that would otherwise break the pod
// (section 4 of the injection reference). Each gives the reason of a refusal.
func validators() map[string]func(string) error {
	return map[string]func(string) error{
		annotationInterceptionMode:                              validateInterceptionMode,
		annotationStatusPort:                                    validatePort,
		"readiness.status.sidecar.istio.io/initialDelaySeconds": validateUInt32,
		"readiness.status.sidecar.istio.io/periodSeconds":       validateUInt32,
		"readiness.status.sidecar.istio.io/failureThreshold":    validateUInt32,
		"traffic.sidecar.istio.io/includeOutboundIPRanges":      named("includeIPRanges", validateIncludeCIDRs),
		"traffic.sidecar.istio.io/excludeOutboundIPRanges":      named("excludeIPRanges", validateCIDRs),
		"traffic.sidecar.istio.io/includeInboundPorts":          named("includeInboundPorts", validateIncludePorts),
		"traffic.sidecar.istio.io/excludeInboundPorts":          named("excludeInboundPorts", validatePorts),
		"traffic.sidecar.istio.io/excludeOutboundPorts":         named("excludeOutboundPorts", validatePorts),
		"traffic.sidecar.istio.io/excludeInterfaces":            validateInterfaces,
		"traffic.sidecar.istio.io/kubevirtInterfaces":           validateInterfaces,
		"istio.io/reroute-virtual-interfaces":                   validateInterfaces,
		annotationMergeMetrics:                                  validateBool,
		annotationProxyConfig:                                   validateProxyConfig,
		"sidecar.istio.io/proxyCPU":                             validateQuantity,
		"sidecar.istio.io/proxyMemory":                          validateQuantity,
		"sidecar.istio.io/proxyCPULimit":                        validateQuantity,
		"sidecar.istio.io/proxyMemoryLimit":                     validateQuantity,
	}
}

// ValidateAnnotation says why injection refuses the value of an annotation. It
// is nil for those that it does not look at.
func ValidateAnnotation(key, value string) error {
	if validate, ok := validators()[key]; ok {
		return validate(value)
	}
	return nil
}

// named says in the refusal which setting of the sidecar is meant.
func named(setting string, validate func(string) error) func(string) error {
	return func(v string) error {
		if err := validate(v); err != nil {
			return fmt.Errorf("%s invalid: %w", setting, err)
		}
		return nil
	}
}

// AnnotationError lists every annotation of a pod that injection refuses.
type AnnotationError struct {
	Problems []AnnotationProblem // sorted by key
}

// AnnotationProblem is one refused annotation.
type AnnotationProblem struct {
	Key, Value string
	Err        error
}

func (p AnnotationProblem) String() string {
	return fmt.Sprintf("invalid value '%s' for annotation '%s': %v", p.Value, p.Key, p.Err)
}

func (e *AnnotationError) Error() string {
	if len(e.Problems) == 1 {
		return "1 error occurred: * " + e.Problems[0].String()
	}
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = "* " + p.String()
	}
	return fmt.Sprintf("%d errors occurred: %s", len(lines), strings.Join(lines, " "))
}

// annotationFault is an error that one annotation causes.
type annotationFault struct {
	key string
	err error
}

func (e *annotationFault) Error() string { return e.err.Error() }
func (e *annotationFault) Unwrap() error { return e.err }

// annotationAtFault is the key of the annotation that causes an error, "" if
// none does.
func annotationAtFault(err error) string {
	var refused *AnnotationError
	var one *annotationFault
	switch {
	case errors.As(err, &refused):
		return refused.Problems[0].Key
	case errors.As(err, &one):
		return one.key
	}
	return ""
}

func (i *Injector) validateAnnotations(annotations map[string]string) error {
	var problems []AnnotationProblem
	for key, value := range annotations {
		if validate, ok := i.validators[key]; ok {
			if err := validate(value); err != nil {
				problems = append(problems, AnnotationProblem{key, value, err})
			}
		}
	}
	if problems == nil {
		return nil
	}
	slices.SortFunc(problems, func(a, b AnnotationProblem) int { return strings.Compare(a.Key, b.Key) })
	return &AnnotationError{problems}
}

func validateInterceptionMode(v string) error {
	if v != "REDIRECT" && v != "TPROXY" && v != "NONE" {
		return fmt.Errorf("interceptionMode invalid, use REDIRECT,TPROXY,NONE: %v", v)
	}
	return nil
}

func validatePort(v string) error {
	_, err := strconv.ParseUint(v, 10, 16)
	return err
}

func validateUInt32(v string) error {
	_, err := strconv.ParseUint(v, 10, 32)
	return err
}

func validateBool(v string) error {
	_, err := strconv.ParseBool(v)
	return err
}

func validateIncludeCIDRs(v string) error {
	if v == "*" {
		return nil
	}
	return validateCIDRs(v)
}

func validateCIDRs(v string) error {
	for _, cidr := range splitList(v) {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			return fmt.Errorf("failed parsing CIDR '%s': invalid CIDR address: %s", cidr, cidr)
		}
	}
	return nil
}

func validateIncludePorts(v string) error {
	if v == "*" {
		return nil
	}
	return validatePorts(v)
}

func validatePorts(v string) error {
	for _, port := range splitList(v) {
		if err := validatePort(port); err != nil {
			return fmt.Errorf("portList %q: %w", v, err)
		}
	}
	return nil
}

func validateInterfaces(v string) error {
	// Linux names an interface with at most 15 of these characters.
	name := regexp.MustCompile(`^[a-zA-Z0-9_.@:-]{1,15}$`)
	for _, n := range splitList(v) {
		if !name.MatchString(n) {
			return fmt.Errorf("invalid interface name %q: at most 15 letters, digits and _.-@: are legal", n)
		}
	}
	return nil
}

func validateQuantity(v string) error {
	if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errors.New("control characters are not allowed")
	}
	if _, err := resource.ParseQuantity(v); err != nil {
		return fmt.Errorf("not a quantity such as 100m or 128Mi: %w", err)
	}
	return nil
}

func validateProxyConfig(v string) error {
	config, err := mesh.ApplyProxyConfig(mesh.DefaultProxyConfig(), []byte(v))
	if err != nil {
		return err
	}
	return mesh.ValidateProxyConfig(config)
}

// splitList cuts a comma-separated list; the empty list is nil.
func splitList(v string) []string {
	if v == "" {
		return nil
	}
	items := strings.Split(v, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}
