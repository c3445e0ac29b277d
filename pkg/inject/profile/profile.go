// Package profile is the injection configuration that meshctl brings along:
// our own templates and values, which render the pod that the default profile
// of a current Istio renders.
package profile

import (
	_ "embed" // the templates and values

	"github.com/meshctl/meshctl/pkg/inject"
)

// IstioVersion is the Istio release that the embedded configuration is for.
const IstioVersion = "1.31.4"

//go:embed sidecar.tmpl
var sidecar string

//go:embed gateway.tmpl
var gateway string

//go:embed values.yaml
var values []byte

// Config is the embedded injection configuration.
func Config() *inject.Config {
	return &inject.Config{
		Templates: map[string]string{"sidecar": sidecar, "gateway": gateway},
		Policy:    inject.PolicyEnabled,
	}
}

// Values are the embedded installation values, as YAML.
func Values() []byte { return values }
