package inject

import (
	"errors"
	"fmt"

	"sigs.k8s.io/yaml"
)

// Values are the installation values of an injector: the "values" of its
// ConfigMap. Templates see them whole; the injector itself reads a few.
type Values struct {
	tree  map[string]any // numbers are float64, as the templates expect (INJ-41)
	known knownValues
}

// knownValues are the values that the injector reads (INJ-46).
type knownValues struct {
	Global struct {
		Hub          string `json:"hub"`
		Tag          any    `json:"tag"` // text or number
		Variant      string `json:"variant"`
		Network      string `json:"network"`
		MultiCluster struct {
			ClusterName string `json:"clusterName"`
		} `json:"multiCluster"`
		Proxy struct {
			Image                          string `json:"image"`
			HoldApplicationUntilProxyStart bool   `json:"holdApplicationUntilProxyStarts"`
		} `json:"proxy"`
		ProxyInit struct {
			Image string `json:"image"`
		} `json:"proxy_init"`
	} `json:"global"`
	SidecarInjectorWebhook struct {
		RewriteAppHTTPProbe bool `json:"rewriteAppHTTPProbe"`
	} `json:"sidecarInjectorWebhook"`
}

// ParseValues reads values from YAML or JSON. Values without a "global" block
// are refused: every template needs it, and fails less clearly without.
func ParseValues(text []byte) (*Values, error) {
	v := &Values{}
	if err := yaml.Unmarshal(text, &v.tree); err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(text, &v.known); err != nil {
		return nil, err
	}
	if _, ok := v.tree["global"].(map[string]any); !ok {
		return nil, errors.New(`no "global" block: expected the "values" of the injector's ConfigMap`)
	}
	return v, nil
}

// Revision is the revision that the values are for, "" for the default one.
func (v *Values) Revision() string {
	revision, _ := v.tree["revision"].(string)
	return revision
}

// tag is the image tag; a number prints as Go prints it (INJ-46).
func (v *Values) tag() string {
	if v.known.Global.Tag == nil {
		return ""
	}
	return fmt.Sprint(v.known.Global.Tag)
}
